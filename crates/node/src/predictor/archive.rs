//! The file that keeps the knowledge over a restart.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};
use warpline_predictor::{AccessPredictor, ArchiveError};

/// A file of knowledge.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
}

impl Archive {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Takes in what the file holds. Knowledge only saves time, so a file that is no archive, or
    /// damaged, is moved out of the way, and the node starts without.
    pub(super) fn load(&self, into: &mut AccessPredictor) {
        let path = self.path.display();
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                tracing::warn!(%path, %error, "the predictor's knowledge cannot be read");
                return;
            }
        };
        match into.load(BufReader::new(file)) {
            Ok(()) => tracing::info!(%path, functions = into.len(), "the predictor remembers"),
            Err(error) => self.set_aside(&error),
        }
    }

    fn set_aside(&self, error: &ArchiveError) {
        let aside = beside(&self.path, "unreadable");
        let path = self.path.display();
        match fs::rename(&self.path, &aside) {
            Ok(()) => {
                let aside = aside.display();
                tracing::warn!(%path, %error, %aside, "the predictor's knowledge is set aside");
            }
            Err(moving) => {
                tracing::warn!(%path, %error, %moving, "the predictor's knowledge cannot be read");
            }
        }
    }

    /// Writes everything down. The file is the old or the new one whenever the process ends. False
    /// if it could not be written.
    pub(super) fn save(&self, knowledge: &AccessPredictor) -> bool {
        let written = self.write(knowledge);
        if let Err(error) = &written {
            let path = self.path.display();
            tracing::warn!(%path, %error, "the predictor's knowledge cannot be written");
        }
        written.is_ok()
    }

    fn write(&self, knowledge: &AccessPredictor) -> io::Result<()> {
        let new = beside(&self.path, "new");
        let mut writer = BufWriter::new(File::create(&new)?);
        knowledge.save(&mut writer)?;
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(&new, &self.path)
    }
}

/// The same path with another word at the end.
fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(word);
    name.into()
}
