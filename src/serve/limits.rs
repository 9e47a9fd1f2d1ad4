//! What a caller may cost.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a changeset, after decompression.
    pub changeset: u64,
    /// Bytes of any other body, after decompression.
    pub body: u64,
    pub connections: usize,
    /// Requests in work at once, long polls that wait apart.
    pub in_flight: usize,
    /// How long a connection may be idle, or take to send the head of a request.
    pub idle: Duration,
    /// How long a body may stand still, in either direction.
    pub stall: Duration,
    /// How long a stop waits for what is in flight.
    pub grace: Duration,
    /// Requests a second of one token.
    pub rate: u32,
    /// Failed logins a minute of one address.
    pub failed_logins: u32,
}

impl Limits {
    /// Bytes of the head of a request.
    pub const HEAD: usize = 16 * 1024;
    pub const PATH: usize = 8 * 1024;
    /// How long the handshake of TLS may take.
    pub const HANDSHAKE: Duration = Duration::from_secs(10);
    /// How long a request waits for a thread.
    pub const QUEUE: Duration = Duration::from_secs(10);
    /// How long a client may take to send a body, whatever its size.
    pub const UPLOAD: Duration = Duration::from_secs(3600);
}

/// A bucket of tokens that fills steadily.
struct Bucket {
    level: f64,
    at: Instant,
}

/// Rates of many, each with a bucket of its own.
pub struct Rates<K> {
    buckets: Mutex<HashMap<K, Bucket>>,
    burst: f64,
    per_second: f64,
}

impl<K: Hash + Eq> Rates<K> {
    /// More than these are not told apart: a flood from everywhere must not fill the memory.
    const MOST: usize = 65_536;

    pub fn new(burst: u32, per_second: f64) -> Rates<K> {
        Rates { buckets: Mutex::default(), burst: f64::from(burst.max(1)), per_second }
    }

    /// Takes one; or says after how many seconds there will be one.
    pub fn take(&self, key: K) -> Result<(), u64> {
        self.spend(key, 1.0)
    }

    /// Whether there is one, without taking it.
    pub fn has(&self, key: K) -> Result<(), u64> {
        self.spend(key, 0.0)
    }

    fn spend(&self, key: K, cost: f64) -> Result<(), u64> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let level = |bucket: &Bucket| {
            (bucket.level + now.duration_since(bucket.at).as_secs_f64() * self.per_second).min(self.burst)
        };
        if buckets.len() >= Self::MOST && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| level(bucket) < self.burst);
            if buckets.len() >= Self::MOST {
                buckets.clear();
            }
        }
        if cost == 0.0 && !buckets.contains_key(&key) {
            return Ok(());
        }
        let bucket = buckets.entry(key).or_insert(Bucket { level: self.burst, at: now });
        let there = level(bucket);
        if there < 1.0 {
            #[expect(clippy::cast_sign_loss, reason = "what is missing is more than nothing")]
            return Err((((1.0 - there) / self.per_second).ceil() as u64).clamp(1, 3600));
        }
        *bucket = Bucket { level: there - cost, at: now };
        Ok(())
    }
}

/// Whose failed logins are counted together: an address, or the network that one host has of IPv6.
pub fn host(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_runs_dry_for_one_and_not_for_others() {
        let rates = Rates::new(3, 0.5);
        for _ in 0..3 {
            assert!(rates.take("a").is_ok());
        }
        let wait = rates.take("a").unwrap_err();
        assert!((1..=2).contains(&wait), "{wait}");
        assert!(rates.has("a").is_err());
        assert!(rates.take("b").is_ok());
        assert!(rates.has("c").is_ok());
    }

    #[test]
    fn hosts_of_one_network_count_together() {
        let ip = |text: &str| host(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::2:3"));
        assert_ne!(ip("2001:db8::1"), ip("2001:db8:0:1::1"));
        assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
        assert_ne!(ip("192.0.2.1"), ip("192.0.2.2"));
    }
}
