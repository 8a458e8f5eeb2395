//! Topic filters: Kafka's `IncludeList` (in 1.1.1 `Whitelist`), a regular expression that must match a
//! whole name, where `,` means `|`.

use super::exception::Exception;
use crate::common::topic_name;
use regex::Regex;

/// A compiled filter.
pub struct IncludeList {
    expression: String,
    regex: Regex,
}

impl IncludeList {
    /// Compiles a filter as it stands on a command line or in a properties file.
    pub fn new(raw: &str) -> Result<IncludeList, Exception> {
        let quotes = ['"', '\''];
        let text = raw.trim().replace(',', "|").replace(' ', "");
        let text = text.trim_start_matches(quotes).trim_end_matches(quotes);
        match Regex::new(&format!("^(?:{text})$")) {
            Ok(regex) => Ok(IncludeList { expression: text.to_string(), regex }),
            Err(_) => {
                Err(Exception::new("java.lang.RuntimeException", format!("{text} is an invalid regex.")))
            }
        }
    }

    /// The regular expression, as Kafka writes it.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// True if the filter matches the name.
    pub fn allows(&self, name: &str, exclude_internal: bool) -> bool {
        self.regex.is_match(name) && !(exclude_internal && topic_name::is_internal(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_and_commas() {
        let list = IncludeList::new(" 'a.*,b' ").unwrap();
        assert!(list.allows("a1", false) && list.allows("b", false) && !list.allows("bb", false));
        let all = IncludeList::new(".*").unwrap();
        assert!(all.allows("__consumer_offsets", false) && !all.allows("__consumer_offsets", true));
        assert!(IncludeList::new("(").is_err());
    }
}
