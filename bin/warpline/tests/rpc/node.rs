//! Starting a node.

use crate::client::Client;
use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// The program.
pub(crate) fn warpline(args: &[&str], datadir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warpline"));
    command.args(args).arg("--datadir").arg(datadir);
    command.env("NO_COLOR", "1").env_remove("RUST_BACKTRACE").stdin(Stdio::null());
    command
}

/// A running node, which ends with this.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    /// Where it listens: address and port.
    pub(crate) address: String,
    said: Arc<Mutex<String>>,
    listener: Option<thread::JoinHandle<()>>,
}

impl Node {
    /// Starts `warpline node` on a free port and waits until it listens.
    pub(crate) fn start(datadir: &Path, args: &[&str]) -> Self {
        let mut command = warpline(&["node", "--http.port", "0"], datadir);
        let mut child =
            command.args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let from = said.len();
            assert!(stderr.read_line(&mut said).unwrap() > 0, "the node has ended: {said}");
            if let Some((_, url)) = said[from..].split_once("http://") {
                let end = url.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
                break url[..end.unwrap_or(url.len())].to_owned();
            }
        };
        let said = Arc::new(Mutex::new(said));
        let more = Arc::clone(&said);
        // A pipe that nobody reads would stop the node.
        let listener = thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|read| read > 0) {
                more.lock().unwrap().push_str(&line);
                line.clear();
            }
            let mut rest = Vec::new();
            let _end = stderr.read_to_end(&mut rest);
        });
        Self { child, address, said, listener: Some(listener) }
    }

    /// A connection of its own.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.address)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it said that it listens, by the name of the protocol.
    #[track_caller]
    pub(crate) fn url(&self, protocol: &str) -> String {
        let find = || {
            let said = self.said();
            let start = said.find(&format!("{protocol}://"))?;
            Some(said[start..].split_whitespace().next()?.to_owned())
        };
        for _ in 0..200 {
            if let Some(url) = find() {
                return url;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no {protocol} in: {}", self.said())
    }

    /// Waits for a line that it writes to hold these words; the line.
    #[track_caller]
    pub(crate) fn line(&self, words: &str) -> String {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            let said = self.said();
            let whole = &said[..said.rfind('\n').map_or(0, |end| end + 1)];
            if let Some(line) = whole.lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no `{words}` in: {}", self.said())
    }

    /// Asks it to end, as a service manager does, and waits until it has.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> Duration {
        let start = Instant::now();
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.said());
        start.elapsed()
    }

    /// Kills it; returns all that it has said.
    pub(crate) fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.listener.take().into_iter().for_each(|listener| listener.join().unwrap());
        self.said()
    }

    /// What it has written so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A data folder with a chain of nothing but its genesis block, and a node on it.
pub(crate) fn small(args: &[&str]) -> (tempfile::TempDir, Node) {
    let dir = tempfile::tempdir().unwrap();
    let genesis = dir.path().join("genesis.json");
    let forks = [
        "homestead",
        "eip150",
        "eip155",
        "eip158",
        "byzantium",
        "constantinople",
        "petersburg",
        "istanbul",
        "berlin",
        "london",
    ];
    let mut config = serde_json::json!({
        "chainId": 1337, "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 0,
        "pragueTime": 0, "osakaTime": 0,
    });
    forks.iter().for_each(|fork| config[format!("{fork}Block")] = 0.into());
    let alloc = serde_json::json!({ RICH: { "balance": "0x56bc75e2d63100000" } });
    let file = serde_json::json!({ "config": config, "alloc": alloc, "gasLimit": "0x1c9c380", "difficulty": "0x0" });
    std::fs::write(&genesis, file.to_string()).unwrap();
    let chain = ["--chain", genesis.to_str().unwrap()];
    let node = Node::start(dir.path(), &[&chain, args].concat());
    (dir, node)
}

/// Who has everything.
pub(crate) const RICH: &str = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";

/// The folder of the published cases, if it is there: in `WARPLINE_SHARED`, or next to the
/// repository.
pub(crate) fn published() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("WARPLINE_SHARED").map_or(beside, PathBuf::from);
    let folder = shared.join("rpc-compat");
    folder.is_dir().then_some(folder)
}

/// Imports the published chain.
pub(crate) fn import(folder: &Path, datadir: &Path) {
    let mut command = warpline(&["import"], datadir);
    command.arg("--chain").arg(folder.join("genesis.json")).arg(folder.join("chain.rlp"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
