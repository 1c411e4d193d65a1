//! ● A name server: every name leads to this machine, but for those of a zone that it says nothing about.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Serves until it is dropped.
pub struct Names {
    address: SocketAddr,
    silent_questions: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Names {
    /// Silent for the names below `zone`; what it says of the others holds for a second.
    pub fn silent_for(zone: &'static str) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket of our own");
        let address = socket.local_addr().expect("bound");
        let (silent_questions, stopped) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (silent, stopping) = (Arc::clone(&silent_questions), Arc::clone(&stopped));
        thread::spawn(move || {
            let mut buffer = [0; 1_500];
            while !stopping.load(Ordering::Acquire) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                match answer(&buffer[..length], zone) {
                    Some(answer) => drop(socket.send_to(&answer, from)),
                    None => drop(silent.fetch_add(1, Ordering::Relaxed)),
                }
            }
        });
        Names { address, silent_questions, stopped }
    }

    /// ADDRESS:PORT
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Questions that got no answer.
    pub fn silent_questions(&self) -> u64 {
        self.silent_questions.load(Ordering::Relaxed)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
    }
}

/// `None` for a question that is not answered.
fn answer(question: &[u8], zone: &str) -> Option<Vec<u8>> {
    const HEAD: usize = 12;
    const A: [u8; 2] = [0, 1];
    let (mut at, mut name) = (HEAD, String::new());
    while let Some(length) = question.get(at).copied().map(usize::from).filter(|length| *length > 0) {
        name.push_str(&String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_lowercase());
        name.push('.');
        at += 1 + length;
    }
    if name.trim_end_matches('.').ends_with(zone) {
        return None;
    }
    let asked = question.get(HEAD..at + 5)?;
    let is_a = question.get(at + 1..at + 3)? == A;
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(asked);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
