//! Events of a server. What hooks have tried it does not keep.

use serde::Deserialize;

use super::Http;
use super::call::Call;
use super::failure::{self, NOT_FOUND};
use crate::model::{Address, Attempt, Event, Result, Told};
use crate::store::Outbox;

#[derive(Deserialize)]
struct Listed {
    events: Vec<Heard>,
}

#[derive(Deserialize)]
struct Heard {
    id: u64,
    effect: String,
    user: String,
    address: String,
    revision: u64,
    #[serde(default)]
    mail: Option<String>,
}

impl Outbox for Http {
    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        let query = vec![("after", after.to_string()), ("limit", limit.to_string())];
        let call = Call { query, ..Call::get(&["v1", "events"]) };
        let Listed { events } = self.line.document(&call, None)?;
        let event = |heard: Heard| {
            let Heard { id, effect, user, address, revision, mail } = heard;
            let address = Address::parse(&address).ok()?;
            // A list that does not ascend has no end.
            (id > after).then_some(Event { id, effect, user, address, revision, mail })
        };
        let events: Option<Vec<Event>> = events.into_iter().map(event).collect();
        let events = events.filter(|events| events.is_sorted_by(|a, b| a.id < b.id));
        events.ok_or_else(|| failure::odd(&self.line.access))
    }

    fn acknowledge(&self, id: u64) -> Result<bool> {
        let id = id.to_string();
        // The same once more changes nothing, so it may be sent again.
        match self.line.ask(&Call::post(&["v1", "events", &id, "ack"]), Some(b"")) {
            Ok(_) => Ok(true),
            Err(error) if error.about == Some(NOT_FOUND) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn remembers(&self) -> bool {
        false
    }

    fn attempts(&self, _: u64, _: u64) -> Result<Vec<Attempt>> {
        Ok(Vec::new())
    }

    fn settle(&self, _: &[Attempt], done: &[u64]) -> Result<()> {
        done.iter().try_for_each(|id| self.acknowledge(*id).map(drop))
    }

    fn told(&self, _: &str) -> Result<Vec<Told>> {
        Ok(Vec::new())
    }

    fn tell(&self, _: &str, _: &Told) -> Result<()> {
        Ok(())
    }

    fn hold(&self, _: &str, _: &str, _: &str, _: &str) -> Result<bool> {
        Ok(true)
    }

    fn let_go(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }

    fn logged_out(&self, _: u64, _: usize) -> Result<(Vec<String>, u64)> {
        Ok((Vec::new(), 0))
    }
}
