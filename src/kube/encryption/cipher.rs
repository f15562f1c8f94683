//! The ciphers: a payload and a key in, the plaintext or a reason out.
//!
//! | provider | payload |
//! |---|---|
//! | aescbc | initialization vector 16, ciphertext with PKCS#7 padding |
//! | aesgcm | nonce 12, ciphertext, tag 16; the etcd key is authenticated with it |
//! | secretbox | nonce 24, tag 16, ciphertext |
//!
//! Whether it is the key that is wrong or the value is told by the first block:
//! if that comes out as the beginning of an object, then the key is right.
//!
//! Source: kubernetes `staging/src/k8s.io/apiserver/pkg/storage/value/encrypt/
//! {aes,secretbox}`, 1.35; NaCl's `crypto_secretbox_xsalsa20poly1305`.

use aes::cipher::consts::{U12, U16};
use aes::cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt as _, BlockSizeUser, InnerIvInit as _,
    KeyInit, KeyIvInit as _, StreamCipher as _,
};
use aes_gcm::AesGcm;
use aes_gcm::aead::AeadInOut as _;
use poly1305::Poly1305;
use salsa20::XSalsa20;
use zeroize::Zeroizing;

use crate::kube::envelope::{Envelope, Provider};

/// Why a key does not open a payload. The later ones say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Closed {
    /// Nothing was ever encrypted to such a length.
    Length,
    /// Wrong, as far as can be told.
    WrongKey,
    /// The key is right, and something else is not.
    Altered,
}

/// A key, ready for use. Wiped when it is dropped.
pub(super) trait Cipher: Send + Sync {
    /// Opens what stands behind the header of a value.
    fn open(&self, payload: &[u8], etcd_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, Closed>;
}

/// The cipher of a provider with a key of one of its lengths. In a box, so that
/// moving it does not leave copies of the key behind.
pub(super) fn cipher(provider: Provider<'_>, secret: &[u8]) -> Option<Box<dyn Cipher>> {
    fn aes<C>(provider: Provider<'_>, secret: &[u8]) -> Option<Box<dyn Cipher>>
    where
        C: KeyInit + Clone + BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>,
        C: Send + Sync + 'static,
    {
        let block = C::new_from_slice(secret).ok()?;
        match provider {
            Provider::AesCbc => Some(Box::new(Cbc(block))),
            Provider::AesGcm => Some(Box::new(Gcm { gcm: AesGcm::from(block.clone()), block })),
            _ => None,
        }
    }
    match (provider, secret.len()) {
        (Provider::SecretBox, _) => {
            let mut key = Zeroizing::new([0; 32]);
            key.copy_from_slice(secret.first_chunk::<32>().filter(|key| key.len() == secret.len())?);
            Some(Box::new(SecretBox(key)))
        }
        (_, 16) => aes::<aes::Aes128>(provider, secret),
        (_, 24) => aes::<aes::Aes192>(provider, secret),
        (_, 32) => aes::<aes::Aes256>(provider, secret),
        _ => None,
    }
}

/// Whether an object as an API server stores it may begin like this.
fn begins_like_object(start: &[u8]) -> bool {
    [&b"k8s\0"[..], b"\xd9\xd9\xf7", b"{\"kind\":", b"{\"apiVersion\":"]
        .iter()
        .any(|beginning| start.starts_with(beginning))
}

fn closed(start: &[u8]) -> Closed {
    if begins_like_object(start) { Closed::Altered } else { Closed::WrongKey }
}

/// AES in cipher block chaining. Nothing is authenticated: the padding and the
/// look of the plaintext are all there is to know a wrong key by.
struct Cbc<C>(C);

impl<C> Cipher for Cbc<C>
where
    C: BlockCipherDecrypt + BlockSizeUser<BlockSize = U16> + Send + Sync,
{
    fn open(&self, payload: &[u8], _: &[u8]) -> Result<Zeroizing<Vec<u8>>, Closed> {
        let (iv, ciphertext) = payload.split_first_chunk::<16>().ok_or(Closed::Length)?;
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        let (blocks, rest) = Array::slice_as_chunks_mut(&mut plain);
        if blocks.is_empty() || !rest.is_empty() {
            return Err(Closed::Length);
        }
        cbc::Decryptor::<&C>::inner_iv_init(&self.0, iv.into()).decrypt_blocks(blocks);
        let length = unpadded(&plain).ok_or_else(|| closed(&plain))?;
        plain.truncate(length);
        match Envelope::parse(&plain) {
            Ok(Envelope::Protobuf(_) | Envelope::Json(_) | Envelope::Cbor(_)) => Ok(plain),
            _ => Err(closed(&plain)),
        }
    }
}

/// The length without padding: as many bytes as each of them says. Go takes more
/// than a block of it, so this does too.
fn unpadded(plain: &[u8]) -> Option<usize> {
    let last = *plain.last()?;
    let length = plain.len().checked_sub(usize::from(last)).filter(|length| *length < plain.len())?;
    plain.get(length..)?.iter().all(|byte| *byte == last).then_some(length)
}

/// AES in Galois counter mode.
struct Gcm<C: BlockSizeUser<BlockSize = U16> + BlockCipherEncrypt> {
    gcm: AesGcm<C, U12>,
    block: C,
}

impl<C> Cipher for Gcm<C>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Send + Sync,
{
    fn open(&self, payload: &[u8], etcd_key: &[u8]) -> Result<Zeroizing<Vec<u8>>, Closed> {
        let (nonce, sealed) = payload.split_first_chunk::<12>().ok_or(Closed::Length)?;
        let (ciphertext, _) = sealed.split_last_chunk::<16>().ok_or(Closed::Length)?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        if self.gcm.decrypt_in_place(nonce.into(), etcd_key, &mut *plain).is_ok() {
            return Ok(plain);
        }
        // The first block of the text is turned with the second of the counter.
        let mut start = Array::<u8, U16>::default();
        let counter = nonce.iter().chain(&[0, 0, 0, 2]);
        start.iter_mut().zip(counter).for_each(|(byte, counter)| *byte = *counter);
        self.block.encrypt_block(&mut start);
        start.iter_mut().zip(ciphertext).for_each(|(byte, cipher)| *byte ^= cipher);
        Err(closed(start.get(..ciphertext.len().min(16)).unwrap_or_default()))
    }
}

/// XSalsa20 and Poly1305. The first 32 bytes of the key stream are the key of
/// the tag, the rest turns the text.
struct SecretBox(Zeroizing<[u8; 32]>);

impl Cipher for SecretBox {
    fn open(&self, payload: &[u8], _: &[u8]) -> Result<Zeroizing<Vec<u8>>, Closed> {
        let (nonce, sealed) = payload.split_first_chunk::<24>().ok_or(Closed::Length)?;
        let (tag, ciphertext) = sealed.split_first_chunk::<16>().ok_or(Closed::Length)?;
        let mut stream = XSalsa20::new((&*self.0).into(), nonce.into());
        let mut tag_key = Zeroizing::new([0; 32]);
        stream.apply_keystream(&mut *tag_key);
        let expected = Poly1305::new((&*tag_key).into()).compute_unpadded(ciphertext);
        let mut plain = Zeroizing::new(ciphertext.to_vec());
        stream.apply_keystream(&mut plain);
        if expected.as_slice() == tag { Ok(plain) } else { Err(closed(&plain)) }
    }
}
