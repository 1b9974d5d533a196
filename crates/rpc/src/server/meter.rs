//! What is counted of requests and connections, for whichever recorder the program has installed.

use core::time::Duration;
use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::sync::OnceLock;

const REQUESTS: &str = "warpline_rpc_requests_total";
const ERRORS: &str = "warpline_rpc_errors_total";
const SECONDS: &str = "warpline_rpc_request_duration_seconds";
const REFUSED: &str = "warpline_rpc_refused_requests_total";
const CONNECTIONS: &str = "warpline_rpc_connections";
const TURNED_AWAY: &str = "warpline_rpc_turned_away_connections_total";

/// Says what the figures mean. To be called before the first of them.
pub(super) fn describe() {
    describe_counter!(REQUESTS, "Requests that were answered, by method");
    describe_counter!(ERRORS, "Requests that were answered with an error, by method");
    describe_histogram!(SECONDS, "Time from a request to its answer, by method");
    describe_counter!(REFUSED, "Requests for methods that are not there or not served");
    describe_gauge!(CONNECTIONS, "Open connections, by kind of socket");
    describe_counter!(TURNED_AWAY, "Connections beyond the limit, by kind of socket");
}

/// Counts the requests for one method. One that nobody calls has no figures: there are many.
#[derive(Debug)]
pub(super) struct MethodMeter {
    name: &'static str,
    figures: OnceLock<Figures>,
}

#[derive(Debug)]
struct Figures {
    requests: Counter,
    errors: Counter,
    seconds: Histogram,
}

impl MethodMeter {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, figures: OnceLock::new() }
    }

    /// A request has been answered.
    pub(super) fn answered(&self, is_error: bool, after: Duration) {
        let name = self.name;
        let figures = self.figures.get_or_init(|| Figures {
            requests: counter!(REQUESTS, "method" => name),
            errors: counter!(ERRORS, "method" => name),
            seconds: histogram!(SECONDS, "method" => name),
        });
        figures.requests.increment(1);
        figures.errors.increment(is_error.into());
        figures.seconds.record(after);
    }
}

/// A request was refused before any method saw it.
pub(super) fn refused() {
    counter!(REFUSED).increment(1);
}

/// A connection was one too many.
pub(super) fn turned_away(socket: &'static str) {
    counter!(TURNED_AWAY, "socket" => socket).increment(1);
}

/// An open connection, as long as this is there.
#[derive(Debug)]
pub(super) struct Connection(Gauge);

impl Connection {
    pub(super) fn open(socket: &'static str) -> Self {
        let open = gauge!(CONNECTIONS, "socket" => socket);
        open.increment(1);
        Self(open)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
