//! Name servers that tests play.

use std::cell::Cell;

use futures_util::future::LocalBoxFuture;

use super::*;

/// Answers with these, one after the other, and with the last one from then on.
pub struct Scripted {
    pub answers: Vec<Vec<IpAddr>>,
    pub asked: Rc<Cell<usize>>,
}

impl Scripted {
    #[must_use]
    pub fn new(answers: &[&[&str]]) -> Self {
        let parse = |ips: &&[&str]| ips.iter().map(|ip| ip.parse().expect("an address")).collect();
        Scripted { answers: answers.iter().map(parse).collect(), asked: Rc::default() }
    }
}

impl NameServer for Scripted {
    fn look_up<'a>(&'a self, _name: &'a str) -> LocalBoxFuture<'a, Result<Found, NameFailure>> {
        let nth = self.asked.replace(self.asked.get() + 1).min(self.answers.len() - 1);
        let found = Found { addresses: self.answers[nth].clone(), ttl: Duration::from_secs(3_600) };
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// Never answers for names in the zone `hole`, and at once for all others.
#[derive(Clone, Default)]
pub struct Hole {
    pub asked: Rc<RefCell<Vec<String>>>,
    pub under_way: Rc<Cell<usize>>,
    pub most_under_way: Rc<Cell<usize>>,
}

struct UnderWay(Rc<Cell<usize>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl NameServer for Hole {
    fn look_up<'a>(&'a self, name: &'a str) -> LocalBoxFuture<'a, Result<Found, NameFailure>> {
        self.asked.borrow_mut().push(name.to_owned());
        self.under_way.set(self.under_way.get() + 1);
        self.most_under_way.set(self.most_under_way.get().max(self.under_way.get()));
        let under_way = UnderWay(Rc::clone(&self.under_way));
        Box::pin(async move {
            let _under_way = under_way;
            if name.ends_with(".hole") {
                std::future::pending::<()>().await;
            }
            Ok(Found { addresses: vec![IpAddr::from([192, 0, 2, 1])], ttl: Duration::from_secs(60) })
        })
    }
}

#[must_use]
pub fn limits() -> NameLimits {
    let second = Duration::from_secs(1);
    NameLimits { fresh_max: 30 * second, stale_max: 600 * second, failure: 5 * second, names_max: 100 }
}
