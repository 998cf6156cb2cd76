//! A file of named sections, used in place when mapped.
//!
//! Little-endian. A header of 32 bytes: the magic, the format's version (u32), the number of sections (u32), the length of
//! the file (u64), and the XXH3 hash (u64, seed 0) of the header's first 24 bytes and the table. Then the table, 32 bytes
//! a section: its name (8 bytes, filled up with zeros), its offset (u64), its length in bytes (u64) and the hash of its
//! bytes (u64). Sections start at multiples of 64 bytes, in the order of the table; zeros lie between them. The magic of a file that
//! is being written is another one.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};
use lmfast_base::{AtomicFile, Control, Error, Map, Result};
use xxhash_rust::xxh3::Xxh3;

use super::Column;

/// Sections start at multiples of this many bytes.
const ALIGNMENT: u64 = 64;
/// A file has at most this many sections.
const MOST_SECTIONS: u32 = 64;
/// Bytes written or hashed between two looks at the control.
const PIECE: usize = 4 << 20;

#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u32,
    sections: u32,
    length: u64,
    checksum: u64,
}

/// Where a section lies.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Section {
    name: [u8; 8],
    offset: u64,
    length: u64,
    checksum: u64,
}

/// What kind of file it is.
pub(crate) struct Format {
    pub(crate) magic: [u8; 8],
    pub(crate) incomplete: [u8; 8],
    pub(crate) version: u32,
}

fn hash(pieces: &[&[u8]]) -> u64 {
    let mut hasher = Xxh3::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.digest()
}

fn checksum(header: &Header, table: &[Section]) -> u64 {
    let bytes = bytemuck::bytes_of(header);
    hash(&[&bytes[..bytes.len() - size_of::<u64>()], bytemuck::cast_slice(table)])
}

fn hash_section(bytes: &[u8], control: &Control) -> Result<u64> {
    let mut hasher = Xxh3::new();
    for piece in bytes.chunks(PIECE) {
        control.check()?;
        hasher.update(piece);
        control.advance(piece.len() as u64);
    }
    Ok(hasher.digest())
}

fn padded_name(name: &str) -> [u8; 8] {
    let mut padded = [0; 8];
    for (to, from) in padded.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    padded
}

/// A file that is written in pieces of [`PIECE`] bytes from multiples of it on. Linux keeps such pieces in memory in one
/// block, and maps it with a single entry of the page table, which makes reads all over the file faster.
struct Whole {
    file: AtomicFile,
    waiting: Vec<u8>,
}

impl Whole {
    fn write_all(&mut self, mut bytes: &[u8]) -> std::io::Result<()> {
        while self.waiting.len() + bytes.len() >= PIECE {
            let now;
            (now, bytes) = bytes.split_at(PIECE - self.waiting.len());
            self.waiting.extend_from_slice(now);
            self.file.write_all(&self.waiting)?;
            self.waiting.clear();
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<AtomicFile> {
        self.file.write_all(&self.waiting)?;
        Ok(self.file)
    }
}

/// Writes the sections. Until all is written, the magic says that the file is incomplete.
pub(crate) fn write(path: &Path, format: &Format, sections: &[(&str, &[u8])], control: &Control) -> Result<()> {
    let mut offset = (size_of::<Header>() + sections.len() * size_of::<Section>()) as u64;
    let mut table = Vec::with_capacity(sections.len());
    control.begin("writing", 2 * sections.iter().map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
    for (name, bytes) in sections {
        offset = offset.next_multiple_of(ALIGNMENT);
        let (length, checksum) = (bytes.len() as u64, hash_section(bytes, control)?);
        table.push(Section { name: padded_name(name), offset, length, checksum });
        offset += length;
    }
    let (magic, incomplete) = (format.magic, format.incomplete);
    let mut header =
        Header { magic, version: format.version, sections: table.len() as u32, length: offset, checksum: 0 };
    header.checksum = checksum(&header, &table);

    let mut file = Whole { file: AtomicFile::create(path)?, waiting: Vec::with_capacity(PIECE) };
    let mut written = 0;
    let mut put = |file: &mut Whole, bytes: &[u8]| {
        written += bytes.len() as u64;
        file.write_all(bytes).map(|()| written).map_err(Error::io(path))
    };
    put(&mut file, bytemuck::bytes_of(&Header { magic: incomplete, ..header }))?;
    let mut position = put(&mut file, bytemuck::cast_slice(&table))?;
    for (section, (_, bytes)) in table.iter().zip(sections) {
        put(&mut file, &vec![0; (section.offset - position) as usize])?;
        position = section.offset;
        for piece in bytes.chunks(PIECE) {
            control.check()?;
            position = put(&mut file, piece)?;
            control.advance(piece.len() as u64);
        }
    }
    let mut file = file.finish().map_err(Error::io(path))?;
    file.file()?.seek(SeekFrom::Start(0)).map_err(Error::io(path))?;
    file.write_all(&magic).map_err(Error::io(path))?;
    file.commit()
}

/// A mapped file whose header is sound.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) map: Arc<Map>,
    table: Vec<Section>,
}

impl Container {
    /// Checks the header and that every section lies within the file; does not read the sections.
    pub(crate) fn open(map: Map, format: &Format) -> Result<Self> {
        let broken = |what: String| Error::format(map.path(), what);
        let header = *map.slice::<Header>(0, 1)?.first().ok_or_else(|| broken("the header is missing".to_owned()))?;
        if header.magic == format.incomplete {
            return Err(broken("this model was never written to its end: save it again".to_owned()));
        }
        if header.magic != format.magic {
            return Err(broken("this is no n-gram model of lmfast".to_owned()));
        }
        if header.version != format.version {
            return Err(broken(format!(
                "this n-gram model has format version {}, this lmfast reads version {}: save it again with this version",
                header.version, format.version
            )));
        }
        if header.length != map.bytes().len() as u64 || header.sections > MOST_SECTIONS {
            return Err(broken(format!(
                "the header speaks of {} bytes and the file has {}: it is cut short or damaged",
                header.length,
                map.bytes().len()
            )));
        }
        let table = map.slice::<Section>(size_of::<Header>(), header.sections as usize)?.to_vec();
        if checksum(&header, &table) != header.checksum && !cfg!(fuzzing) {
            return Err(broken("the checksum of the header does not fit: the file is damaged".to_owned()));
        }
        let outside =
            |section: &Section| section.offset.checked_add(section.length).is_none_or(|end| end > header.length);
        if table.iter().any(outside) {
            return Err(broken("a section reaches past the end: the file is damaged".to_owned()));
        }
        Ok(Self { map: Arc::new(map), table })
    }

    fn find(&self, name: &str) -> Result<&Section> {
        let padded = padded_name(name);
        self.table.iter().find(|section| section.name == padded).ok_or_else(|| {
            Error::format(self.map.path(), format!("the section {name:?} is missing: the file is damaged"))
        })
    }

    /// Offset and number of values of a section.
    pub(crate) fn section<T>(&self, name: &str) -> Result<(usize, usize)> {
        let section = self.find(name)?;
        if section.length % size_of::<T>() as u64 != 0 {
            return Err(Error::format(
                self.map.path(),
                format!("the section {name:?} ends within a value: the file is damaged"),
            ));
        }
        Ok((section.offset as usize, section.length as usize / size_of::<T>()))
    }

    /// The values of a section, once its checksum fits.
    pub(crate) fn checked<T: Pod>(&self, name: &str) -> Result<&[T]> {
        self.verify_section(self.find(name)?, &Control::default())?;
        let (offset, count) = self.section::<T>(name)?;
        self.map.slice(offset, count)
    }

    /// A section in place, which must have `count` values, if that is known.
    pub(crate) fn column<T: Pod>(&self, name: &str, count: Option<u64>) -> Result<Column<T>> {
        let (offset, found) = self.section::<T>(name)?;
        match count {
            Some(count) if count != found as u64 => Err(Error::format(
                self.map.path(),
                format!("the section {name:?} has {found} values where {count} are due: the file is damaged"),
            )),
            _ => Column::mapped(&self.map, offset, found),
        }
    }

    /// Whether there is a section of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// How a model was estimated, if the file says so.
    pub(crate) fn method(&self) -> Result<String> {
        let method = if self.has("method") { self.checked::<u8>("method")? } else { &[] };
        Ok(String::from_utf8_lossy(method).into_owned())
    }

    /// Reads every section and compares its checksum.
    pub(crate) fn verify(&self, control: &Control) -> Result<()> {
        control.begin("verifying", self.table.iter().map(|section| section.length).sum());
        self.table.iter().try_for_each(|section| self.verify_section(section, control))
    }

    fn verify_section(&self, section: &Section, control: &Control) -> Result<()> {
        let bytes = self.map.slice::<u8>(section.offset as usize, section.length as usize)?;
        if hash_section(bytes, control)? == section.checksum || cfg!(fuzzing) {
            return Ok(());
        }
        let name = String::from_utf8_lossy(&section.name);
        Err(Error::format(
            self.map.path(),
            format!("the checksum of section {:?} does not fit: the file is damaged", name.trim_end_matches('\0')),
        ))
    }
}

/// Makes the checksums of a file's bytes fit, so that a test can change the sections.
#[cfg(test)]
pub(crate) fn fix_checksums(bytes: &mut [u8]) {
    let mut header: Header = bytemuck::pod_read_unaligned(&bytes[..size_of::<Header>()]);
    let table_end = size_of::<Header>() + header.sections as usize * size_of::<Section>();
    let table = bytes[size_of::<Header>()..table_end].chunks_exact(size_of::<Section>());
    let mut table: Vec<Section> = table.map(bytemuck::pod_read_unaligned).collect();
    for section in &mut table {
        section.checksum = hash(&[&bytes[section.offset as usize..][..section.length as usize]]);
    }
    header.checksum = checksum(&header, &table);
    bytes[..size_of::<Header>()].copy_from_slice(bytemuck::bytes_of(&header));
    bytes[size_of::<Header>()..table_end].copy_from_slice(bytemuck::cast_slice(&table));
}
