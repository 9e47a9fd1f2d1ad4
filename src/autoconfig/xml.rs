//! XML, written: elements, attributes, text, and nothing else.

const INDENT: &str = "  ";

pub struct Xml {
    text: String,
    open: Vec<&'static str>,
}

impl Xml {
    /// `doctype` is a whole declaration, or empty.
    pub fn new(doctype: &str) -> Xml {
        let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
        if !doctype.is_empty() {
            text.push_str(doctype);
            text.push('\n');
        }
        Xml { text, open: Vec::new() }
    }

    pub fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.indent();
        self.text.push('<');
        self.text.push_str(name);
        for (attribute, value) in attributes {
            self.text.extend([" ", attribute, "=\"", &escaped(value), "\""]);
        }
        self.text.push_str(">\n");
        self.open.push(name);
    }

    pub fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.indent();
            self.text.extend(["</", name, ">\n"]);
        }
    }

    /// An element that holds text alone.
    pub fn leaf(&mut self, name: &str, text: &str) {
        self.indent();
        self.text.extend(["<", name, ">", &escaped(text), "</", name, ">\n"]);
    }

    /// An element that holds nothing.
    pub fn empty(&mut self, name: &str) {
        self.indent();
        self.text.extend(["<", name, "/>\n"]);
    }

    /// The document, every element closed.
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn indent(&mut self) {
        self.text.extend(self.open.iter().map(|_| INDENT));
    }
}

/// For text and for attributes in double quotes. What no XML 1.0 document may hold becomes a sign that something stood
/// there.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // As they are, a reader would make blanks or line feeds of them.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(char::REPLACEMENT_CHARACTER),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let odd = "山田 & \"Söhne\" <a@b> ]]> 'x'\t\r\n\u{a0}𠮷";
        let mut xml = Xml::new("");
        xml.open("a", &[("b", odd)]);
        xml.leaf("c", odd);
        xml.empty("d");
        let text = xml.finish();
        let read = roxmltree::Document::parse(&text).unwrap();
        assert_eq!(read.root_element().attribute("b"), Some(odd));
        let texts: Vec<_> = read.root_element().children().filter_map(|node| node.text()).collect();
        assert!(texts.contains(&odd), "{texts:?}");
    }

    #[test]
    fn what_xml_cannot_hold_is_marked() {
        let mut xml = Xml::new("");
        xml.leaf("a", "\0x\u{1b}y\u{ffff}");
        let text = xml.finish();
        assert_eq!(
            roxmltree::Document::parse(&text).unwrap().root_element().text(),
            Some("\u{fffd}x\u{fffd}y\u{fffd}")
        );
    }
}
