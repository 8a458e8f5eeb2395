//! Which topics an old consumer wants (`kafka.consumer.TopicFilter`).

use crate::common::topic_name;
use crate::tools::exception::Exception;
use crate::tools::include_list::IncludeList;
use crate::zk::data::consumer_registration::Subscription;

/// A list of topics to read, or to leave out, as a regular expression.
pub struct TopicFilter {
    list: IncludeList,
    expression: String,
    is_blacklist: bool,
    exclude_internal: bool,
}

impl TopicFilter {
    /// Compiles the expression as it stands in a registration or on a command line.
    pub fn new(raw: &str, is_blacklist: bool, exclude_internal: bool) -> Result<TopicFilter, Exception> {
        let list = IncludeList::new(raw)?;
        Ok(TopicFilter { expression: list.expression().to_string(), list, is_blacklist, exclude_internal })
    }

    /// The expression, in the form that is registered.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// True if the topic is wanted.
    pub fn allows(&self, topic: &str) -> bool {
        self.list.allows(topic, false) != self.is_blacklist
            && !(self.exclude_internal && topic_name::is_internal(topic))
    }

    /// The wanted ones among `topics`, sorted.
    pub fn select(&self, topics: Vec<String>) -> Vec<String> {
        let mut wanted: Vec<String> = topics.into_iter().filter(|topic| self.allows(topic)).collect();
        wanted.sort();
        wanted
    }
}

/// What a registered consumer wants of `topics`, and with how many threads each.
pub fn wanted_topics(
    subscription: &Subscription,
    topics: &[String],
    exclude_internal: bool,
) -> Result<Vec<(String, i32)>, Exception> {
    let (expression, threads, is_blacklist) = match subscription {
        Subscription::Static(topics) => return Ok(topics.iter().map(|(t, n)| (t.clone(), *n)).collect()),
        Subscription::WhiteList(expression, threads) => (expression, *threads, false),
        Subscription::BlackList(expression, threads) => (expression, *threads, true),
    };
    let filter = TopicFilter::new(expression, is_blacklist, exclude_internal)?;
    Ok(filter.select(topics.to_vec()).into_iter().map(|topic| (topic, threads)).collect())
}
