//! ○ The benchmark's event: 512 bytes of JSON that say which one it is and when it was produced.

/// What an event's value weighs.
pub const BYTES: usize = 512;

/// The value of the event `sequence`, produced at `at_ns` (nanoseconds since 1970).
pub fn write(value: &mut [u8; BYTES], sequence: u64, at_ns: u64) {
    value.copy_from_slice(TEMPLATE);
    write_digits(&mut value[SEQUENCE..SEQUENCE + SEQUENCE_DIGITS], sequence);
    write_digits(&mut value[AT..AT + AT_DIGITS], at_ns);
}

/// Finds events in request bodies. Bodies of one run look alike, so it looks first where the last one stood:
/// the receiver must cost the machine as little as possible.
#[derive(Default)]
pub struct Scanner {
    first: usize,
    stride: usize,
}

impl Scanner {
    /// Calls `each(sequence, at_ns)` for every event in the body, in order.
    pub fn scan(&mut self, body: &[u8], mut each: impl FnMut(u64, u64)) {
        let Some(mut position) = locate(body, self.first, 0) else { return };
        self.first = position;
        while let Some(event) = body.get(position..position + AT + AT_DIGITS) {
            each(read_digits(&event[SEQUENCE..SEQUENCE + SEQUENCE_DIGITS]), read_digits(&event[AT..]));
            let Some(next) = locate(body, position + self.stride, position + BYTES) else { return };
            self.stride = next - position;
            position = next;
        }
    }
}

/// Where the next event begins: at the guess, or wherever it is from `from` on.
fn locate(body: &[u8], guess: usize, from: usize) -> Option<usize> {
    if guess >= from && body.get(guess..).is_some_and(|rest| rest.starts_with(OPENING)) {
        return Some(guess);
    }
    let rest = body.get(from..)?;
    rest.windows(OPENING.len()).position(|window| window == OPENING).map(|position| from + position)
}

fn write_digits(place: &mut [u8], mut value: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn read_digits(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, digit| value * 10 + u64::from(digit.wrapping_sub(b'0')))
}

const OPENING: &[u8] = b"{\"sequence\":\"";
const SEQUENCE: usize = OPENING.len();
const SEQUENCE_DIGITS: usize = 10;
const AT: usize = SEQUENCE + SEQUENCE_DIGITS + b"\",\"at\":\"".len();
const AT_DIGITS: usize = 19;

/// An order, as such events go: nested objects, arrays, text and numbers.
const TEMPLATE: &[u8; BYTES] = br#"{"sequence":"0000000000","at":"0000000000000000000","order":{"currency":"EUR","total":12949,"paid":true,"lines":[{"sku":"A-1043-77","name":"Rain jacket, blue","quantity":1,"price":8950},{"sku":"B-2210-03","name":"Wool socks","quantity":3,"price":1333}],"ship_to":{"name":"Kim Example","street":"12 Harbour Road","city":"Port Example","postcode":"00042","country":"XX"},"notes":"Leave with the neighbour if nobody is at home on the day. Ring twice, the bell is quiet. The gate sticks; lift it, then push it in."}}"#;
