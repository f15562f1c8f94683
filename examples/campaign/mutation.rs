//! What is done to a sound file. Case `number` of a seed is always the same.

use serde::{Deserialize, Serialize};

use super::anatomy::{Anatomy, Place, TreePage, Varint};
use super::random::Random;

macro_rules! kinds {
    ($($name:ident = $words:literal,)*) => {
        /// Kinds of damage, as disks, networks, tools and people make it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum Kind { $($name,)* }

        impl Kind {
            /// All of them, each as frequent as the others.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            pub(crate) fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

kinds! {
    Bits = "bits flipped",
    Bytes = "bytes changed",
    Header = "page headers",
    Elements = "element tables",
    Truncated = "truncated",
    Garbage = "garbage",
    Zeroed = "zeroed pages",
    Swapped = "swapped pages",
    Doubled = "doubled pages",
    Metas = "metas",
    Counts = "leaves that count nothing",
    Lengths = "lengths of entries set to 0",
    Numbers = "numbers of records",
}

/// A damaged file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mutant {
    pub(crate) kind: Kind,
    /// As it would be met.
    pub(crate) as_is: Vec<u8>,
    /// With the digest made right again; `None` if nothing but the digest was changed.
    pub(crate) resealed: Option<Vec<u8>>,
    /// What the bytes were for that were changed or are gone, the digest's own left out.
    pub(crate) places: Vec<Place>,
}

/// Bytes of the digest.
const DIGEST: usize = 32;

/// Damages `file`, which has a digest. Some bytes are always changed.
pub(crate) fn mutant(file: &[u8], anatomy: &Anatomy, seed: u64, number: u64) -> Mutant {
    let mut random = Random::of_case(seed, number);
    loop {
        let kind = random.one_of(Kind::ALL).unwrap_or(Kind::Bits);
        let mut damage = Damage { anatomy, random: &mut random, file: file.to_vec() };
        damage.inflict(kind);
        let as_is = damage.file;
        // A page of zeros over another one, a field that had the value already: again.
        if as_is != file {
            return judged(file, anatomy, kind, as_is);
        }
    }
}

fn judged(file: &[u8], anatomy: &Anatomy, kind: Kind, as_is: Vec<u8>) -> Mutant {
    let differs = |at: &usize| as_is.get(*at) != file.get(*at);
    let mut places: Vec<_> = (0..file.len()).filter(differs).filter_map(|at| anatomy.place(at)).collect();
    places.sort_unstable();
    places.dedup();
    places.retain(|place| *place != Place::Digest);
    let resealed = (!places.is_empty()).then(|| {
        // A truncated file gets a digest of what is left, as one copied and saved anew.
        let end = if as_is.len() < file.len() { as_is.len() } else { anatomy.image };
        sealed(as_is.get(..end).unwrap_or(&as_is))
    });
    Mutant { kind, as_is, resealed, places }
}

/// `image` with its digest.
pub(crate) fn sealed(image: &[u8]) -> Vec<u8> {
    let digest = etcdsnap::codec::checksum::sha256(image);
    [image, &digest].concat()
}

struct Damage<'d> {
    anatomy: &'d Anatomy,
    random: &'d mut Random,
    file: Vec<u8>,
}

impl Damage<'_> {
    fn inflict(&mut self, kind: Kind) {
        match kind {
            Kind::Bits => self.some(8, |damage| {
                let (at, bit) = (damage.anywhere(), damage.random.below(8));
                damage.change(at, |byte| byte ^ (1 << bit));
            }),
            Kind::Bytes => self.some(8, |damage| {
                let (at, random) = (damage.anywhere(), damage.random.next());
                damage.change(at, |_| random.to_le_bytes()[0]);
            }),
            Kind::Header => self.some(2, Self::header),
            Kind::Elements => self.some(3, Self::element),
            Kind::Truncated => self.truncate(),
            Kind::Garbage => self.garbage(),
            Kind::Zeroed => self.some(3, |damage| {
                let at = damage.page() * damage.anatomy.page_size;
                damage.write(at, &vec![0; damage.anatomy.page_size]);
            }),
            Kind::Swapped => {
                let (one, two) = (self.page(), self.page());
                let (first, second) = (self.copy(one), self.copy(two));
                self.write(one * self.anatomy.page_size, &second);
                self.write(two * self.anatomy.page_size, &first);
            }
            Kind::Doubled => {
                let (from, to) = (self.page(), self.page());
                let page = self.copy(from);
                self.write(to * self.anatomy.page_size, &page);
            }
            Kind::Metas => self.metas(),
            Kind::Counts => self.some(2, Self::count_nothing),
            Kind::Lengths => self.some(2, Self::no_length),
            Kind::Numbers => self.some(3, Self::record_number),
        }
    }

    /// Mostly once, at times up to `most` times.
    fn some(&mut self, most: usize, mut damage: impl FnMut(&mut Self)) {
        let times = if self.random.once_in(2) { 1 } else { 1 + self.random.below(most) };
        (0..times).for_each(|_| damage(self));
    }

    fn anywhere(&mut self) -> usize {
        self.random.below(self.file.len())
    }

    fn pages(&self) -> usize {
        self.anatomy.image / self.anatomy.page_size
    }

    /// Any page, the metas among them.
    fn page(&mut self) -> usize {
        let pages = self.pages();
        self.random.below(pages)
    }

    fn copy(&self, page: usize) -> Vec<u8> {
        let at = page * self.anatomy.page_size;
        self.file.get(at..at + self.anatomy.page_size).unwrap_or_default().to_vec()
    }

    fn change(&mut self, at: usize, new: impl FnOnce(u8) -> u8) {
        if let Some(byte) = self.file.get_mut(at) {
            *byte = new(*byte);
        }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        for (slot, byte) in self.file.iter_mut().skip(at).zip(bytes) {
            *slot = *byte;
        }
    }

    /// The number of `size` bytes at `at`.
    fn number(&self, at: usize, size: usize) -> u64 {
        let mut bytes = [0; 8];
        let stored = self.file.iter().skip(at).take(size);
        bytes.iter_mut().zip(stored).for_each(|(byte, stored)| *byte = *stored);
        u64::from_le_bytes(bytes)
    }

    /// Another number at `at`: one of those that readers stumble over, one near the
    /// number that is there, one of the right size, or any.
    fn set_number(&mut self, at: usize, size: usize, near: usize) {
        let stored = self.number(at, size);
        let fixed =
            [0, 1, 2, 4, 0x10, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 62, u64::MAX];
        let number = match self.random.below(4) {
            0 => self.random.one_of(&fixed).unwrap_or(0),
            1 => {
                let step = self.random.one_of(&[1, 2, 8, 16, 32, 4096]).unwrap_or(1);
                if self.random.once_in(2) { stored.wrapping_add(step) } else { stored.wrapping_sub(step) }
            }
            2 => self.random.below(near) as u64,
            _ => self.random.next(),
        };
        let bytes = number.to_le_bytes();
        self.write(at, bytes.get(..size).unwrap_or(&bytes));
    }

    /// A field of the header of a page: number, flags, count or overflow.
    fn header(&mut self) {
        let at = self.page() * self.anatomy.page_size;
        let (field, size) = self.random.one_of(&[(0, 8), (8, 2), (10, 2), (12, 4)]).unwrap_or((0, 8));
        let near = self.pages();
        self.set_number(at + field, size, near);
    }

    /// A field of an element of a page that is in use.
    fn element(&mut self) {
        let Some(page) = self.random.one_of(&self.anatomy.pages) else { return };
        let at = page.id * self.anatomy.page_size + 16 * (1 + self.random.below(page.count));
        let leaf = [(0, 4), (4, 4), (8, 4), (12, 4)];
        let branch = [(0, 4), (4, 4), (8, 8), (8, 8)];
        let fields = if page.is_leaf { leaf } else { branch };
        let (field, size) = self.random.one_of(&fields).unwrap_or((0, 4));
        let near = if size == 8 { self.pages() } else { self.anatomy.page_size };
        self.set_number(at + field, size, near);
    }

    fn leaf(&mut self) -> Option<TreePage> {
        let leaves: Vec<_> = self.anatomy.pages.iter().filter(|page| page.is_leaf).copied().collect();
        self.random.one_of(&leaves)
    }

    /// A leaf, the root of its tree or not, that has entries and counts none.
    fn count_nothing(&mut self) {
        if let Some(page) = self.leaf() {
            self.write(page.id * self.anatomy.page_size + 10, &[0; 2]);
        }
    }

    /// A key or value without length: in the table of a leaf, or inside a record, where
    /// what it was then stands for other fields.
    fn no_length(&mut self) {
        if self.random.once_in(2) {
            let Some(page) = self.leaf().filter(|page| page.count > 0) else { return };
            let element = page.id * self.anatomy.page_size + 16 * (1 + self.random.below(page.count));
            let field = if self.random.once_in(2) { 8 } else { 12 };
            self.write(element + field, &[0; 4]);
        } else if let Some(length) = self.random.one_of(&self.anatomy.lengths) {
            self.set_varint(length, |_| 0);
        }
    }

    /// A revision, version or lease inside a record, of as many bytes as before.
    fn record_number(&mut self) {
        let Some(number) = self.random.one_of(&self.anatomy.numbers) else { return };
        let (how, random) = (self.random.below(4), self.random.next());
        self.set_varint(number, |stored| match how {
            0 => stored.wrapping_add(1),
            1 => stored.wrapping_sub(1),
            2 => 0,
            _ => random,
        });
    }

    /// Another number in the bytes of one: so nothing behind it moves.
    fn set_varint(&mut self, place: Varint, new: impl FnOnce(u64) -> u64) {
        let bytes = self.file.get(place.at..place.at + place.size).unwrap_or_default();
        let stored = bytes.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f));
        let mut number = new(stored);
        for index in 0..place.size {
            let more = if index + 1 < place.size { 0x80 } else { 0 };
            self.change(place.at + index, |_| number.to_le_bytes()[0] & 0x7f | more);
            number >>= 7;
        }
    }

    fn truncate(&mut self) {
        let length = match self.random.below(3) {
            0 => self.anywhere(),
            1 => self.page() * self.anatomy.page_size,
            _ => self.file.len() - 1 - self.random.below(2 * DIGEST),
        };
        self.file.truncate(length);
    }

    fn garbage(&mut self) {
        let (at, length) = if self.random.once_in(2) {
            (self.page() * self.anatomy.page_size, self.anatomy.page_size)
        } else {
            (self.anywhere(), 1 + self.random.below(self.anatomy.page_size))
        };
        let mut bytes = vec![0; length];
        self.random.fill(&mut bytes);
        self.write(at, &bytes);
    }

    /// Fields of one meta or of both, in half of the cases with the checksum that
    /// belongs to them.
    fn metas(&mut self) {
        let both = self.random.once_in(2);
        let first = self.random.below(2);
        let checksum = self.random.once_in(2);
        let fields =
            [(16, 4), (20, 4), (24, 4), (28, 4), (32, 8), (40, 8), (48, 8), (56, 8), (64, 8), (72, 8)];
        let (field, size) = self.random.one_of(&fields).unwrap_or((16, 4));
        for number in 0..2 {
            if !both && number != first {
                continue;
            }
            let at = number * self.anatomy.page_size;
            let near = self.pages();
            self.set_number(at + field, size, near);
            if checksum {
                let covered = self.file.iter().skip(at + 16).take(56);
                let sum = covered.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                    (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
                });
                self.write(at + 72, &sum.to_le_bytes());
            }
        }
    }
}
