//! As much of HTML as the pages of this project need.

/// A form's hidden fields.
pub(super) struct Form {
    pub(super) hidden: Vec<(String, String)>,
}

/// The form that is sent to this path.
pub(super) fn form(page: &str, action: &str) -> Option<Form> {
    let (_, text) = page
        .split("<form")
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .find(|(tag, _)| attribute(tag, "action").as_deref() == Some(action))?;
    let text = text.split("</form>").next().unwrap_or(text);
    let tags = text
        .split("<input")
        .skip(1)
        .filter_map(|rest| rest.split_once('>'));
    let hidden = tags
        .filter(|(tag, _)| attribute(tag, "type").as_deref() == Some("hidden"))
        .filter_map(|(tag, _)| {
            Some((
                attribute(tag, "name")?,
                attribute(tag, "value").unwrap_or_default(),
            ))
        })
        .collect();
    Some(Form { hidden })
}

/// What a page says, one line for each piece of text; the page itself if it is no HTML.
pub(super) fn words(page: &str) -> String {
    let main = page.split_once("<main").map_or(page, |(_, rest)| rest);
    let main = main.split("</main>").next().unwrap_or(main);
    let lines = pieces(main);
    if lines.is_empty() {
        page.to_owned()
    } else {
        lines.join("\n")
    }
}

/// The pieces of text in the first element with this class.
pub(super) fn class(page: &str, class: &str) -> Option<Vec<String>> {
    let (_, rest) = page.split_once(&format!("class=\"{class}"))?;
    let (_, rest) = rest.split_once('>')?;
    rest.split("</div></div>").next().map(pieces)
}

fn pieces(markup: &str) -> Vec<String> {
    let texts = markup
        .split('<')
        .map(|piece| piece.split_once('>').map_or("", |(_, text)| text.trim()));
    texts.filter(|text| !text.is_empty()).map(decoded).collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| decoded(value))
}

/// The entities that templates write.
fn decoded(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<nav>Menu</nav><main><h1>Who?</h1><form method=\"get\" action=\"/a\"><input name=\"x\"></form>\
        <form method=\"post\" action=\"/b\"><input type=\"hidden\" name=\"t\" value=\"1&amp;2\">\
        <input type=\"radio\" name=\"u\" value=\"3\"></form><div class=\"flash bad\" role=\"alert\"><div><p>No &lt;way&gt;</p>\
        </div></div></main>";

    #[test]
    fn the_right_form_is_read() {
        assert_eq!(
            form(PAGE, "/b").unwrap().hidden,
            [("t".to_owned(), "1&2".to_owned())]
        );
        assert_eq!(form(PAGE, "/a").unwrap().hidden, []);
        assert!(form(PAGE, "/c").is_none());
    }

    #[test]
    fn words_are_read_without_markup() {
        assert_eq!(words(PAGE), "Who?\nNo <way>");
        assert_eq!(class(PAGE, "flash").unwrap(), ["No <way>"]);
        assert_eq!(words("plain"), "plain");
    }
}
