//! Files with a secret in many spellings, written wrongly: the same for every reader of a patroni.yml.

/// Every spelling of a secret, one below the other.
const SPELLINGS: &str = include_str!("spellings.yml");
/// The forms that the secret has in them.
pub(crate) const SECRETS: [&str; 4] = ["qX7zVkJwYp", "cVg3elZrSndZcA", "q%58%37zVkJwYp", "q\\x587zVkJwYp"];

/// Numbers as they come: the same in every run.
pub(crate) struct Draws(pub u64);

impl Draws {
    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % most.max(1)
    }
}

/// A file that somebody has written wrongly: a few characters that are missing, too many or others, lines that are moved or gone.
/// The secrets themselves stay as they are, and so do the texts that hold them.
pub(crate) fn mutant(seed: u64) -> String {
    const WITH: &[u8] = b" \n\t:,-{}[]\"'&*!|>#?%@`\\ax0";
    let mut draws = Draws(seed);
    let mut lines: Vec<String> = SPELLINGS.lines().map(str::to_owned).collect();
    for _ in 0..=draws.below(3) {
        let n = draws.below(lines.len());
        // A secret that stands alone in a line is none where it has no name any more.
        let is_alone = |line: Option<&String>| line.is_some_and(|line| !line.contains(':'));
        let is_named = lines[n].contains(':') && !is_alone(lines.get(n + 1));
        match draws.below(5) {
            0 if is_named => lines[n] = format!("{}{}", " ".repeat(draws.below(5)), lines[n].trim_start()),
            1 if is_named && !SECRETS.iter().any(|secret| lines[n].contains(secret)) => _ = lines.remove(n),
            2 if is_named => {
                let line = lines[n].clone();
                let at = draws.below(lines.len());
                if !is_alone(lines.get(at)) {
                    lines.insert(at, line);
                }
            }
            _ if is_named => {
                // What is before the value: its name and what stands around it.
                let most = lines[n].find([':', '=']).map_or(lines[n].len(), |colon| colon + 2).min(lines[n].len());
                let at = draws.below(most + 1);
                let with = WITH[draws.below(WITH.len())] as char;
                match draws.below(3) {
                    0 => lines[n].insert(at, with),
                    1 if at < most => _ = lines[n].remove(at),
                    _ if at < most => lines[n].replace_range(at..=at, &with.to_string()),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    lines.join("\n")
}

/// How many of them are tried: `PGDRILL_MUTANTS`, or these.
pub(crate) fn mutants(usual: u64) -> u64 {
    std::env::var("PGDRILL_MUTANTS").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}
