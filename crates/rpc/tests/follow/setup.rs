//! A development node with its server, and a client that reads what is sent to it.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, bytes};
use alloy_signer::SignerSync;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tungstenite::{Message, WebSocket, stream::MaybeTlsStream};
use warpline_chain::{ChainOptions, Engine, GenesisBlock, Rules, StoredChain};
use warpline_executor::ParallelConfig;
use warpline_node::{DevAccounts, MNEMONIC, MineOptions, Mining, Node, NodeConfig, dev_genesis};
use warpline_rpc::{
    Apis, Context, HttpPolicy, Limits, Listener, RpcConfig, RpcServer, ServerConfig,
};
use warpline_txpool::{Origin, PoolConfig};

const CHAIN_ID: u64 = 31_337;

/// Emits a log without data, whose topic is the first word of the input.
const EMITTER: Bytes = bytes!("6860003560006000a10060005260096017f3");

/// A node that makes blocks when a test says so.
pub(crate) struct Dev {
    pub(crate) node: Arc<Node>,
    _folder: TempDir,
    runtime: Option<Runtime>,
    address: SocketAddr,
    _server: RpcServer,
}

impl Dev {
    pub(crate) fn start() -> Self {
        Self::with(RpcConfig::default())
    }

    pub(crate) fn with(requests: RpcConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let accounts = DevAccounts::from_mnemonic(MNEMONIC, 3).unwrap();
        let rich = U256::from(10).pow(U256::from(22));
        let genesis = dev_genesis(CHAIN_ID, accounts.addresses(), rich, 30_000_000, 1);
        let rules = Rules::from_config(&genesis.config).unwrap();
        let block = GenesisBlock::new(&genesis, &rules).unwrap();
        let options = ChainOptions { config: Some(genesis.config), ..ChainOptions::default() };
        let chain = StoredChain::create(&folder.path().join("db"), options, rules, &block).unwrap();
        let engine = Engine::parallel(ParallelConfig { threads: 1, ..ParallelConfig::default() });
        let config = NodeConfig {
            mining: Mining::Manual,
            pool: PoolConfig::dev(),
            dev: true,
            accounts,
            ..NodeConfig::default()
        };
        let node = Node::start(chain, engine.unwrap(), config).unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = Listener { address: SocketAddr::from(([127, 0, 0, 1], 0)), apis: Apis::All };
        let server = ServerConfig {
            http: Some(listener.clone()),
            ws: Some(listener),
            ipc: None,
            policy: HttpPolicy::default(),
            limits: Limits::default(),
        };
        let context = Arc::new(Context::new(Arc::clone(&node), requests));
        let server = runtime.block_on(RpcServer::start(context, server)).unwrap();
        let address = server.ws().unwrap();
        Self { node, _folder: folder, runtime: Some(runtime), address, _server: server }
    }

    pub(crate) fn client(&self) -> Client {
        let (socket, _) = tungstenite::connect(format!("ws://{}", self.address)).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        }
        Client { socket, notifications: VecDeque::new() }
    }

    /// Makes the next block; its number.
    pub(crate) fn mine(&self) -> u64 {
        self.node.mine(&MineOptions::default()).unwrap().number
    }

    /// Sends a transaction from the first account.
    pub(crate) fn send(&self, nonce: u64, to: TxKind, input: Bytes) -> B256 {
        let tx = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 200_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to,
            input,
            ..TxEip1559::default()
        };
        let signer = &self.node.accounts().signers()[0];
        let signature = signer.sign_hash_sync(&tx.signature_hash()).unwrap();
        let raw = TxEnvelope::from(tx.into_signed(signature)).encoded_2718();
        self.node.submit(&raw, Origin::Local).unwrap().hash
    }

    /// Deploys what emits logs, in a block of its own.
    pub(crate) fn emitter(&self) -> Address {
        let sender = self.node.accounts().signers()[0].address();
        self.send(0, TxKind::Create, EMITTER);
        self.mine();
        sender.create(0)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        self.node.shutdown().unwrap();
    }
}

/// A WebSocket.
pub(crate) struct Client {
    pub(crate) socket: WebSocket<MaybeTlsStream<TcpStream>>,
    notifications: VecDeque<Value>,
}

impl Client {
    fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("a message in time") {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// The whole answer to a call.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let message = self.read();
            if message["id"] == 7 {
                return message;
            }
            self.notifications.push_back(message);
        }
    }

    /// The result of a call.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Subscribes; the identifier.
    #[track_caller]
    pub(crate) fn subscribe(&mut self, params: Value) -> Value {
        let id = self.call("eth_subscribe", params);
        assert!(id.as_str().unwrap().starts_with("0x"), "{id}");
        assert!(self.notifications.is_empty(), "before the answer: {:?}", self.notifications);
        id
    }

    /// The next notification, which is for this subscription.
    #[track_caller]
    pub(crate) fn next(&mut self, subscription: &Value) -> Value {
        let message = self.notifications.pop_front().unwrap_or_else(|| self.read());
        assert_eq!(message["method"], "eth_subscription", "{message}");
        assert_eq!(&message["params"]["subscription"], subscription, "{message}");
        message["params"]["result"].clone()
    }
}
