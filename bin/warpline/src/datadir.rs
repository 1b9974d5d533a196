//! Where the data lies, and opening the database there with the rules of its chain.

use crate::{network::Network, output::sayln};
use alloy_genesis::ChainConfig;
use clap::Args;
use etcetera::BaseStrategy;
use eyre::{Result, WrapErr, bail, eyre};
use std::path::{Path, PathBuf};
use warpline_chain::{ChainOptions, ChainRecord, Difference, Rules, StoredChain};
use warpline_chainspec::ChainSpec;
use warpline_storage::{OpenError, Storage, StorageOptions};

/// Where the data lies.
#[derive(Debug, Clone, Args)]
pub(crate) struct DatadirArgs {
    /// Folder of the database [default: warpline in the user's folder for data, e.g.
    /// ~/.local/share/warpline].
    #[arg(long, value_name = "DIR")]
    datadir: Option<PathBuf>,
}

impl DatadirArgs {
    /// The folder that is given.
    pub(crate) fn at(folder: &Path) -> Self {
        Self { datadir: Some(folder.to_owned()) }
    }

    /// Whether the user says where.
    pub(crate) const fn is_given(&self) -> bool {
        self.datadir.is_some()
    }

    /// The folder of the database itself.
    pub(crate) fn database(&self) -> Result<PathBuf> {
        let folder = match &self.datadir {
            Some(folder) => folder.clone(),
            None => {
                let user = etcetera::choose_base_strategy()
                    .wrap_err("there is no folder for the user's data: give one with --datadir")?;
                user.data_dir().join("warpline")
            }
        };
        Ok(folder.join("db"))
    }

    /// Opens the database for reading only, even while another process writes.
    pub(crate) fn open_read_only(&self) -> Result<Storage> {
        let path = self.database()?;
        let options = StorageOptions::default;
        let read = || Storage::open_read_only(&path, options(), None);
        let opened = match read() {
            Err(OpenError::Unrecovered(_)) => {
                let looking = StorageOptions { keep_shutdown_mark: true, ..options() };
                Storage::open(&path, looking, None).map(drop).and_then(|()| read())
            }
            opened => opened,
        };
        opened.map_err(explained)
    }

    /// Opens the chain for reading only, even while a node runs on it.
    pub(crate) fn open_chain_read_only(&self) -> Result<StoredChain> {
        let storage = self.open_read_only()?;
        let record = ChainRecord::read(&storage)?;
        let rules = rules(&storage, record.as_ref(), None)?;
        let storage_only = record.map(|record| record.storage_only()).unwrap_or_default();
        let options = ChainOptions { storage_only, ..ChainOptions::default() };
        Ok(StoredChain::new(storage, options, rules)?)
    }

    /// Opens the chain, which must be there.
    pub(crate) fn open(&self, options: ChainOptions) -> Result<StoredChain> {
        let path = self.database()?;
        open(&path, None, options)?.ok_or_else(|| missing(&path))
    }
}

/// Says how to get a database.
pub(crate) fn missing(path: &Path) -> eyre::Report {
    let opened = Storage::open_read_only(path, StorageOptions::default(), None).map(drop);
    explained(opened.err().unwrap_or_else(|| OpenError::NotFound(path.to_owned())))
}

fn explained(error: OpenError) -> eyre::Report {
    match error {
        OpenError::NotFound(_) | OpenError::Incomplete(_) => {
            eyre!("{error} (`warpline init --chain NAME|FILE` makes one)")
        }
        error => error.into(),
    }
}

/// Opens a chain that must be the given one; none where there is no database.
pub(crate) fn open(
    path: &Path,
    network: Option<&Network>,
    options: ChainOptions,
) -> Result<Option<StoredChain>> {
    opened(path, network, options, Unlike::Refused)
}

/// The same, but takes over a configuration that says otherwise of blocks to come only.
pub(crate) fn open_or_amend(
    path: &Path,
    network: &Network,
    options: ChainOptions,
) -> Result<Option<StoredChain>> {
    opened(path, Some(network), options, Unlike::Amends)
}

/// What is done with a configuration that says otherwise of blocks to come than the kept one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unlike {
    Refused,
    Amends,
}

fn opened(
    path: &Path,
    network: Option<&Network>,
    options: ChainOptions,
    unlike: Unlike,
) -> Result<Option<StoredChain>> {
    let expected = network.map(|network| network.identity);
    let storage = match Storage::open(path, options.storage.clone(), expected.as_ref()) {
        Err(OpenError::NotFound(_) | OpenError::Incomplete(_)) => return Ok(None),
        opened => opened?,
    };
    let of_database = || format!("database {}", path.display());
    let record = ChainRecord::read(&storage).wrap_err_with(of_database)?;
    let rules = rules(&storage, record.as_ref(), network)?;
    let given = network.and_then(|network| network.config.as_ref());
    let differing = record.as_ref().zip(given).filter(|(record, given)| record.config != **given);
    let amends = match differing.filter(|_| !is_known(&storage)) {
        Some((record, given)) => Some((record.clone(), given, to_come(&storage, record, given)?)),
        None => None,
    };
    if let Some((.., changes)) = &amends
        && unlike == Unlike::Refused
        && !changes.is_empty()
    {
        bail!(
            "{} has another chain configuration: {changes} (`warpline init --chain FILE` takes \
             over what no block follows yet)",
            path.display()
        );
    }
    let storage_only = record.map(|record| record.storage_only()).unwrap_or_default();
    let options = ChainOptions { storage_only, ..options };
    let chain = StoredChain::new(storage, options, rules).wrap_err_with(of_database)?;
    if let (Some((record, given, changes)), Unlike::Amends) = (amends, unlike) {
        record.amend(chain.storage(), given.clone()).wrap_err_with(of_database)?;
        if !changes.is_empty() {
            sayln!("{} has another chain configuration from now on: {changes}", path.display());
        }
    }
    Ok(Some(chain))
}

/// Whether the rules of a chain are those of this program.
fn is_known(storage: &Storage) -> bool {
    let identity = storage.identity();
    ChainSpec::by_genesis(identity.chain_id, identity.genesis).is_some()
}

/// What a configuration says otherwise of blocks to come. Fails if it does so of blocks that are
/// there.
fn to_come(storage: &Storage, record: &ChainRecord, given: &ChainConfig) -> Result<String> {
    let (path, head) = (storage.path().display(), storage.head());
    let header = storage.snapshot(1)?.reader()?.header(head.number)?;
    let (header, total) = header.ok_or_else(|| eyre!("{path}: the header of {head} is missing"))?;
    let (followed, to_come): (Vec<_>, Vec<_>) = record
        .differences(given, (&header, total))?
        .into_iter()
        .partition(|difference| difference.followed);
    let listed =
        |of: &[Difference]| of.iter().map(Difference::to_string).collect::<Vec<_>>().join(", ");
    if !followed.is_empty() {
        let followed = listed(&followed);
        bail!("{path} has another chain configuration, which block {head} follows: {followed}");
    }
    Ok(listed(&to_come))
}

/// Makes the database of a chain.
pub(crate) fn create(path: &Path, network: &Network, options: ChainOptions) -> Result<StoredChain> {
    let options = ChainOptions { config: network.config.clone(), ..options };
    let genesis = network.genesis_block()?;
    Ok(StoredChain::create(path, options, network.rules.clone(), &genesis)?)
}

/// The rules of the chain in a database: those of this program for a network that it knows, and
/// else those of the configuration that is given or, without any, kept.
fn rules(
    storage: &Storage,
    record: Option<&ChainRecord>,
    network: Option<&Network>,
) -> Result<Rules> {
    let identity = storage.identity();
    if let Some(chain) = ChainSpec::by_genesis(identity.chain_id, identity.genesis) {
        return Ok(Rules::network(chain));
    }
    let path = storage.path().display();
    let given = network.filter(|network| network.config.is_some()).map(|network| &network.rules);
    match (record, given) {
        (Some(record), None) => Rules::from_config(&record.config)
            .wrap_err_with(|| format!("the chain configuration in {path}")),
        (_, Some(rules)) => Ok(rules.clone()),
        (None, None) => {
            bail!("{path} does not say which rules its chain follows: give them with --chain FILE")
        }
    }
}
