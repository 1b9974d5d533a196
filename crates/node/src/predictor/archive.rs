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
    /// It holds what could neither be read nor moved out of the way, and is left alone.
    blocked: bool,
}

impl Archive {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, blocked: false }
    }

    /// Takes in what the file holds. Knowledge only saves time, so a file that cannot be read, is
    /// no archive, or damaged, is moved out of the way, and the node starts without.
    pub(super) fn load(&mut self, into: &mut AccessPredictor) {
        let path = self.path.display();
        match self.read(into) {
            Ok(true) => tracing::info!(%path, functions = into.len(), "the predictor remembers"),
            Ok(false) => {}
            Err(error) => self.set_aside(&error),
        }
    }

    /// False if there is no file.
    fn read(&self, into: &mut AccessPredictor) -> Result<bool, ArchiveError> {
        let found = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        // A pipe would keep the node waiting.
        if !found.is_file() {
            return Err(io::Error::other("it is no file").into());
        }
        into.load(BufReader::new(File::open(&self.path)?)).map(|()| true)
    }

    fn set_aside(&mut self, error: &ArchiveError) {
        let aside = beside(&self.path, "unreadable");
        let path = self.path.display();
        match fs::rename(&self.path, &aside) {
            Ok(()) => {
                let aside = aside.display();
                tracing::warn!(%path, %error, %aside, "the predictor's knowledge is set aside");
            }
            Err(moving) => {
                self.blocked = true;
                tracing::warn!(
                    %path, %error, %moving,
                    "the predictor's knowledge cannot be read: it stays as it is, and nothing is kept"
                );
            }
        }
    }

    /// Writes everything down. The file is the old or the new one whenever the process ends. False
    /// if that is to be tried again.
    pub(super) fn save(&self, knowledge: &AccessPredictor) -> bool {
        if self.blocked {
            return true;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_set_aside_or_left_alone_but_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictor");
        let (mut archive, mut knowledge) = (Archive::new(path.clone()), AccessPredictor::default());
        let aside = beside(&path, "unreadable");
        fs::create_dir(&path).unwrap();
        archive.load(&mut knowledge);
        assert!(aside.is_dir() && !path.exists());
        assert!(archive.save(&knowledge) && path.is_file());

        fs::write(&path, "something else").unwrap();
        fs::write(aside.join("of somebody"), "").unwrap();
        archive.load(&mut knowledge);
        assert!(archive.save(&knowledge));
        assert_eq!(fs::read(&path).unwrap(), b"something else");
    }
}
