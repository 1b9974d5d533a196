//! The Unix socket: requests one after another, with nothing in between, answers likewise.

use super::{
    IpcConfig, Limits, ServerError,
    calls::{Calls, answer},
    dispatch::{Dispatch, Dispatcher, Transport},
    meter::{self, Connection},
    too_many_connections,
};
use crate::{RpcError, error::INVALID_REQUEST};
use core::time::Duration;
use jsonrpsee::{
    core::server::{BoundedSubscriptions, MethodResponse, MethodSink, Methods},
    server::{ConnectionId, StopHandle},
    types::{ErrorCode, ErrorObjectOwned, Id},
};
use serde_json::value::RawValue;
use std::{
    convert::Infallible,
    fs, io,
    os::unix::{fs::PermissionsExt, net::UnixStream as Probe},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufWriter},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Semaphore, mpsc},
};

/// Answers and notifications that may wait for a client to read them.
const WAITING: usize = 1024;

/// How long what was answered may take to be written once the server stops.
const FLUSH: Duration = Duration::from_millis(200);

/// Where the numbers of connections begin; those of TCP begin at zero.
const FIRST_ID: u32 = 1 << 31;

/// The file of the socket, which goes with this.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl SocketFile {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.0);
    }
}

/// Starts listening.
pub(super) fn listen(
    config: &IpcConfig,
    methods: Methods,
    dispatcher: Arc<Dispatcher>,
    limits: Limits,
    stop: StopHandle,
) -> Result<SocketFile, ServerError> {
    let failed = |source| ServerError::Ipc { path: config.path.clone(), source };
    let listener = bind(&config.path).map_err(failed)?;
    let file = SocketFile(config.path.clone());
    let connections = Arc::new(Semaphore::new(limits.connections as usize));
    tokio::spawn(async move {
        let stopped = stop.clone().shutdown();
        tokio::pin!(stopped);
        let mut id = FIRST_ID;
        loop {
            id = id.wrapping_add(1).max(FIRST_ID);
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut stopped => return,
            };
            let permit = Arc::clone(&connections).try_acquire_owned();
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, most likely: others have to close theirs first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let Ok(permit) = permit else {
                let answer = too_many_connections(limits.connections).into_json();
                let _unheard = stream.try_write(format!("{answer}\n").as_bytes());
                meter::turned_away("ipc");
                continue;
            };
            let (tx, rx) = mpsc::channel(WAITING);
            let sink = MethodSink::new_with_limit(tx, limits.response);
            let subscriptions = BoundedSubscriptions::new(limits.subscriptions);
            let inner = Calls {
                methods: methods.clone(),
                subscriptions: Some((sink.clone(), subscriptions)),
                connection: ConnectionId::from(id),
                response: limits.response as usize,
            };
            let service = Dispatch::new(inner, &dispatcher);
            let (request, stop) = (limits.request as usize, stop.clone());
            tokio::spawn(async move {
                let _open = Connection::open("ipc");
                serve(stream, service, (sink, rx), request, stop).await;
                drop(permit);
            });
        }
    });
    Ok(file)
}

/// Takes the place of a socket that nobody listens on any more. The file is for its owner only.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if path.exists() {
        if Probe::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another program listens there"));
        }
        let is_socket = {
            use std::os::unix::fs::FileTypeExt;
            fs::symlink_metadata(path)?.file_type().is_socket()
        };
        if !is_socket {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no socket"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves one connection until it ends.
async fn serve(
    stream: UnixStream,
    service: Dispatch<Calls>,
    (sink, answers): (MethodSink, mpsc::Receiver<Box<RawValue>>),
    limit: usize,
    stop: StopHandle,
) {
    let (reader, writer) = stream.into_split();
    let writing = tokio::spawn(write(writer, answers));
    // The server waits for everybody who has this.
    let open = stop.clone();
    let (busy, mut idle) = mpsc::channel::<Infallible>(1);
    let stops = tokio::select! {
        () = read(reader, &service, (&sink, &busy), limit) => false,
        () = stop.shutdown() => true,
    };
    // What is being answered keeps both open until it is, a subscription the sink.
    drop((service, sink, busy));
    let _nothing = idle.recv().await;
    if stops {
        let _ended = tokio::time::timeout(FLUSH, writing).await;
    } else {
        drop(open);
        let _ended = writing.await;
    }
}

async fn write(writer: OwnedWriteHalf, mut answers: mpsc::Receiver<Box<RawValue>>) {
    let mut writer = BufWriter::new(writer);
    while let Some(answer) = answers.recv().await {
        let written = async {
            writer.write_all(answer.get().as_bytes()).await?;
            writer.write_all(b"\n").await?;
            if answers.is_empty() { writer.flush().await } else { Ok(()) }
        };
        if written.await.is_err() {
            return;
        }
    }
}

/// Reads requests and has them answered.
async fn read(
    mut reader: OwnedReadHalf,
    service: &Dispatch<Calls>,
    (sink, busy): (&MethodSink, &mpsc::Sender<Infallible>),
    limit: usize,
) {
    let mut buffer = Vec::new();
    loop {
        match reader.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        // Before that no message can be complete, and looking for its end takes time.
        let last = buffer.iter().rfind(|byte| !byte.is_ascii_whitespace());
        if matches!(last, Some(b'}' | b']')) || buffer.len() > limit {
            match messages(&buffer) {
                Ok((complete, used)) => {
                    for message in complete {
                        start(service.clone(), (sink.clone(), busy.clone()), message);
                    }
                    buffer.drain(..used);
                }
                Err(()) => {
                    return refuse(sink, ErrorCode::ParseError.into()).await;
                }
            }
        }
        if buffer.len() > limit {
            let words = format!("message too large (limit {limit})");
            let error = RpcError::new(INVALID_REQUEST, words);
            return refuse(sink, error.into()).await;
        }
    }
}

async fn refuse(sink: &MethodSink, error: ErrorObjectOwned) {
    let answer = MethodResponse::error(Id::Null, error);
    let _unheard = sink.send(answer.into_json()).await;
}

/// The messages that are complete, and how many bytes they take.
fn messages(buffer: &[u8]) -> Result<(Vec<Box<RawValue>>, usize), ()> {
    let mut stream = serde_json::Deserializer::from_slice(buffer).into_iter::<Box<RawValue>>();
    let (mut complete, mut used) = (Vec::new(), 0);
    while let Some(next) = stream.next() {
        match next {
            Ok(message) => complete.push(message),
            Err(error) if error.is_eof() => break,
            Err(_) => return Err(()),
        }
        used = stream.byte_offset();
    }
    Ok((complete, used))
}

fn start(
    service: Dispatch<Calls>,
    (sink, busy): (MethodSink, mpsc::Sender<Infallible>),
    message: Box<RawValue>,
) {
    tokio::spawn(async move {
        let _busy = busy;
        let answer = tokio::select! {
            answer = answer(&service, Transport::Ipc, message.get()) => answer,
            () = sink.closed() => return,
        };
        // Those of subscriptions have been sent by themselves.
        if answer.is_method_call() || answer.is_batch() {
            let (json, _, _) = answer.into_parts();
            let _unheard = sink.send(json).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_follow_each_other_without_anything_in_between() {
        let (complete, used) = messages(b" {\"a\":1}[2]\n{\"b\":{}}{\"c\"").unwrap();
        let texts: Vec<_> = complete.iter().map(|message| message.get()).collect();
        assert_eq!(texts, ["{\"a\":1}", "[2]", "{\"b\":{}}"]);
        assert_eq!(used, b" {\"a\":1}[2]\n{\"b\":{}}".len());
        assert!(messages(b"{\"a\":1} nonsense").is_err());
        assert_eq!(messages(b"{\"a\"").unwrap().1, 0);
    }
}
