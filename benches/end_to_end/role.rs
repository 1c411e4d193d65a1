//! ● This program again, as another process: each part of the benchmark has its own, so that CPU is counted apart.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use serde::{Serialize, de::DeserializeOwned};

/// A child that listens to lines on its standard input, answers each with a line, and ends when its input does.
pub struct Role {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Role {
    pub fn start(name: &'static str, arguments: &impl Serialize) -> io::Result<Role> {
        let mut child = Command::new(env::current_exe()?)
            .arg(ROLE)
            .arg(name)
            .arg(serde_json::to_string(arguments)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("its output is piped"));
        Ok(Role { name, child, input, output })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn check_alive(&mut self) -> io::Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(io::Error::other(format!("the {} ended unasked: {status}", self.name))),
            None => Ok(()),
        }
    }

    /// Its next line.
    pub fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::other(format!("the {} ended unasked", self.name)));
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    pub fn ask<A: DeserializeOwned>(&mut self, question: &impl Serialize) -> io::Result<A> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        self.input.as_mut().expect("open until dropped").write_all(&line)?;
        Ok(serde_json::from_str(&self.hear()?)?)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.input.take());
        let patience = Instant::now() + Duration::from_secs(2);
        while Instant::now() < patience {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For roles that are told nothing more: ends the process when the driver is gone, so that nobody stays behind.
pub fn end_with_the_driver() {
    std::thread::spawn(|| {
        for line in io::stdin().lock().lines() {
            if line.is_err() {
                break;
            }
        }
        std::process::exit(0);
    });
}

/// The first argument of a process that plays a role.
pub const ROLE: &str = "--role";
