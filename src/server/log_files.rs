//! Log files that change their name by the hour, as log4j's DailyRollingFileAppender does with Kafka's
//! pattern: `server.log` becomes `server.log.2026-11-21-09` at the first line of the next hour.

use crate::common::clock::{self, LocalTime};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that rolls by the hour.
#[derive(Debug)]
pub struct HourlyFile {
    path: PathBuf,
    file: File,
    hour: (i32, i32, i32, i32),
}

fn hour_of(time: LocalTime) -> (i32, i32, i32, i32) {
    (time.year, time.month, time.day, time.hour)
}

impl HourlyFile {
    /// Opens (or goes on with) `path`; its folder is made.
    pub fn open(path: &Path) -> io::Result<HourlyFile> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = append(path)?;
        let modified_ms = file
            .metadata()
            .and_then(|m| m.modified())
            .ok()
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or_else(clock::now_ms, |d| d.as_millis() as i64);
        Ok(HourlyFile { path: path.to_path_buf(), file, hour: hour_of(clock::local_time(modified_ms)) })
    }

    fn roll(&mut self, hour: (i32, i32, i32, i32)) -> io::Result<()> {
        let (y, m, d, h) = self.hour;
        let mut rolled = self.path.clone().into_os_string();
        rolled.push(format!(".{y:04}-{m:02}-{d:02}-{h:02}"));
        fs::rename(&self.path, rolled)?;
        self.file = append(&self.path)?;
        self.hour = hour;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for HourlyFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let hour = hour_of(clock::local_time(clock::now_ms()));
        if hour != self.hour {
            // A log that cannot roll goes on in the same file.
            let _ = self.roll(hour);
        }
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
