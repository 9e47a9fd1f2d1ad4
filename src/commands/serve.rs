//! `yubin serve`

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::{Common, End, print_data};
use crate::model::{Code, Error, Result};
use crate::pipeline;
use crate::serve::{self, Limits, Options};

/// Offer a store to others, over HTTP
#[derive(clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8025")]
    listen: String,
    /// Certificate chain in PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A proxy that speaks TLS stands before the server, and its X-Forwarded-For says who calls
    #[arg(long)]
    behind_proxy: bool,
    /// Write a JSON line to this file for every call that changes or is refused; stderr by default
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// Connections at once; when there are more, those that are idle for the longest are closed
    #[arg(long, value_name = "COUNT", default_value_t = 12_000, value_parser = count)]
    max_connections: usize,
    /// Requests in work at once
    #[arg(long, value_name = "COUNT", default_value_t = 2_000, value_parser = count)]
    max_in_flight: usize,
    /// Bytes of a changeset, after decompression
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 30)]
    max_changeset: u64,
    /// Bytes of any other body, after decompression
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    max_body: u64,
    /// How long a connection may be idle, or take to send the head of a request
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    idle_timeout: u64,
    /// How long a body may stand still, in either direction
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds)]
    stall_timeout: u64,
    /// How long a stop waits for what is in flight
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds)]
    grace: u64,
    /// Requests a second of one token
    #[arg(long, value_name = "COUNT", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Failed logins a minute of one address
    #[arg(long, value_name = "COUNT", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    failed_logins: u32,
}

fn count(text: &str) -> std::result::Result<usize, String> {
    text.parse().ok().filter(|count| (1..=1_000_000).contains(count)).ok_or("a number from 1 to 1000000".to_owned())
}

fn seconds(text: &str) -> std::result::Result<u64, String> {
    text.parse().ok().filter(|count| (1..=86_400).contains(count)).ok_or("a number from 1 to 86400".to_owned())
}

pub fn run(common: &Common, args: &Args) -> Result<End> {
    let listen = addresses(&args.listen)?;
    let tls = args.tls_cert.clone().zip(args.tls_key.clone());
    if tls.is_none() && !args.behind_proxy && listen.iter().any(|address| !address.ip().is_loopback()) {
        let message = format!("without TLS, the server does not listen at {}, beyond this machine", args.listen);
        return Err(Error::new(Code::Usage, message)
            .hint("give `--tls-cert` and `--tls-key`, or `--behind-proxy` if a proxy speaks TLS for it"));
    }
    let (store, base) = common.store_name()?;
    let hosted = pipeline::hosted::Hosted::open(&store, &base)?;
    let limits = Limits {
        changeset: args.max_changeset,
        body: args.max_body,
        connections: args.max_connections,
        in_flight: args.max_in_flight,
        idle: Duration::from_secs(args.idle_timeout),
        stall: Duration::from_secs(args.stall_timeout),
        grace: Duration::from_secs(args.grace),
        rate: args.rate,
        failed_logins: args.failed_logins,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let name = hosted.name().to_owned();
    let options = Options { listen, tls, behind_proxy: args.behind_proxy, limits, audit: args.audit.clone() };
    serve::run(hosted, options, |address| {
        let url = format!("{scheme}://{address}");
        common.say(&format!("{name} is served at {url}"));
        if common.is_json() {
            print_data(|to| writeln!(to, "{}", json!({ "listening": url })))?;
        }
        Ok(())
    })?;
    Ok(End::Done)
}

fn addresses(listen: &str) -> Result<Vec<SocketAddr>> {
    let wrong = |message: &str| {
        Error::new(Code::Usage, message.to_owned()).hint("such as `--listen 127.0.0.1:8025` or `--listen [::1]:0`")
    };
    if !listen.contains(':') {
        return Err(wrong("`--listen` takes a host and a port"));
    }
    let found = listen.to_socket_addrs().map_err(|error| wrong("`--listen` names no address").because(error))?;
    Ok(found.collect())
}
