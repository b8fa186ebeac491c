//! Products of 128 bits as Rust crates compute them on wasm32: each export runs a loop of `n` turns, each of which depends
//! on the one before, and returns a checksum.
use ark_bn254::Fq;
use ark_ff::{BigInt, Field};
use crypto_bigint::U256;
use curve25519_dalek::{constants::ED25519_BASEPOINT_POINT, scalar::Scalar};
use fixed::types::U64F64;

const SEED: [u64; 4] = [0x243f6a8885a308d3, 0x13198a2e03707344, 0xa4093822299f31d0, 0x082efa98ec4e6c89];
const OTHER_SEED: [u64; 4] = [0x452821e638d01377, 0xbe5466cf34e90c6c, 0xc0ac29b7c97c50dd, 0x0f84d5b5b5470917];

fn xor_words(words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(0, |sum, word| sum ^ word)
}

fn xor_bytes(bytes: &[u8]) -> u64 {
    xor_words(bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())))
}

fn bytes_of(words: [u64; 4]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// ark-ff, which cuts the factors in halves itself for wasm: the field of BN254, multiplied.
#[no_mangle]
pub extern "C" fn ark_multiply(n: u64) -> u64 {
    let mut value = Fq::new_unchecked(BigInt(SEED));
    let factor = Fq::new_unchecked(BigInt(OTHER_SEED));
    for _ in 0..n {
        value *= factor;
    }
    xor_words(value.0 .0)
}

#[no_mangle]
pub extern "C" fn ark_square(n: u64) -> u64 {
    let mut value = Fq::new_unchecked(BigInt(SEED));
    for _ in 0..n {
        value.square_in_place();
    }
    xor_words(value.0 .0)
}

/// crypto-bigint: 256 x 256 bits.
#[no_mangle]
pub extern "C" fn crypto_bigint_multiply(n: u64) -> u64 {
    let mut a = U256::from_le_slice(&bytes_of(SEED));
    let mut b = U256::from_le_slice(&bytes_of(OTHER_SEED));
    for _ in 0..n {
        let (low, high) = a.widening_mul(&b);
        a = low ^ high;
        b = b.wrapping_add(&high);
    }
    xor_bytes(a.to_le_bytes().as_ref())
}

/// curve25519-dalek: scalars, in limbs of 52 or of 29 bits.
#[no_mangle]
pub extern "C" fn dalek_scalar_multiply(n: u64) -> u64 {
    let mut value = Scalar::from_bytes_mod_order(bytes_of(SEED));
    let factor = Scalar::from_bytes_mod_order(bytes_of(OTHER_SEED));
    for _ in 0..n {
        value *= factor;
    }
    xor_bytes(value.as_bytes())
}

/// curve25519-dalek: points are added, eight products of field elements in limbs of 51 or of 25.5 bits.
#[no_mangle]
pub extern "C" fn dalek_point_add(n: u64) -> u64 {
    let mut point = ED25519_BASEPOINT_POINT;
    for _ in 0..n {
        point += ED25519_BASEPOINT_POINT;
    }
    xor_bytes(point.compress().as_bytes())
}

/// ethnum: 256 bits in two u128.
#[no_mangle]
pub extern "C" fn ethnum_multiply(n: u64) -> u64 {
    let mut value = ethnum::U256::from_le_bytes(bytes_of(SEED));
    let factor = ethnum::U256::from_le_bytes(bytes_of(OTHER_SEED));
    for _ in 0..n {
        value = value.wrapping_mul(factor) + ethnum::U256::ONE;
    }
    xor_bytes(&value.to_le_bytes())
}

/// fixed: 64.64 bits.
#[no_mangle]
pub extern "C" fn fixed_logistic(n: u64) -> u64 {
    let r = U64F64::from_bits((3 << 64) | 0xfd70a3d70a3d70a4);
    let mut x = U64F64::from_bits(0x5851f42d4c957f2d);
    for _ in 0..n {
        x = r * (x * (U64F64::ONE - x));
    }
    (x.to_bits() >> 64) as u64 ^ x.to_bits() as u64
}

/// u128 and nothing else: the high word of a product, to bring a random number into a range.
#[no_mangle]
pub extern "C" fn u128_random_below(n: u64) -> u64 {
    let (mut state, mut bound, mut sum) = (0x853c49e6748fea9b_u64, 0xda3e39cb94b95bdb_u64, 0_u64);
    for _ in 0..n {
        state = state.wrapping_mul(0x5851f42d4c957f2d).wrapping_add(0x14057b7ef767814f);
        sum ^= ((u128::from(state) * u128::from(bound)) >> 64) as u64;
        bound = bound.wrapping_add(sum);
    }
    sum
}

/// ruint: 256 bits in four words.
#[no_mangle]
pub extern "C" fn ruint_multiply(n: u64) -> u64 {
    let mut value = ruint::aliases::U256::from_limbs(SEED);
    let factor = ruint::aliases::U256::from_limbs(OTHER_SEED);
    for _ in 0..n {
        value = value.wrapping_mul(factor).wrapping_add(ruint::aliases::U256::ONE);
    }
    xor_words(*value.as_limbs())
}

/// ruint: Montgomery's product, modulo the order of secp256k1.
#[no_mangle]
pub extern "C" fn ruint_montgomery(n: u64) -> u64 {
    let modulus = ruint::aliases::U256::from_limbs([
        0xbfd25e8cd0364141, 0xbaaedce6af48a03b, 0xfffffffffffffffe, 0xffffffffffffffff,
    ]);
    let mut value = ruint::aliases::U256::from_limbs(SEED);
    let factor = ruint::aliases::U256::from_limbs(OTHER_SEED);
    for _ in 0..n {
        value = value.mul_redc(factor, modulus, 0x4b0dff665588b13f);
    }
    xor_words(*value.as_limbs())
}

/// wyhash, of 64 bytes.
#[no_mangle]
pub extern "C" fn wyhash_64_bytes(n: u64) -> u64 {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&bytes_of(SEED));
    bytes[32..].copy_from_slice(&bytes_of(OTHER_SEED));
    let mut hash = 0;
    for _ in 0..n {
        hash = wyhash::wyhash(&bytes, hash);
        bytes[..8].copy_from_slice(&hash.to_le_bytes());
    }
    hash
}

/// xxhash-rust: xxh3 of 128 bytes, which mixes by products of 128 bits.
#[no_mangle]
pub extern "C" fn xxh3_128_bytes(n: u64) -> u64 {
    let mut bytes = [0; 128];
    for (index, place) in bytes.chunks_exact_mut(32).enumerate() {
        place.copy_from_slice(&bytes_of(if index % 2 == 0 { SEED } else { OTHER_SEED }));
    }
    let mut hash = 0;
    for _ in 0..n {
        hash = xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, hash);
        bytes[..8].copy_from_slice(&hash.to_le_bytes());
    }
    hash
}
