//! Splits a label selector into marks and words.

/// A piece of a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    /// A key, a value, or the words `in` and `notin`, which may also be either.
    Word(&'t str),
    Less,
    NotEquals,
    Open,
    End,
}

impl<'t> Token<'t> {
    fn mark(text: &str) -> Option<Self> {
        Some(match text {
            ")" => Self::Close,
            "," => Self::Comma,
            "!" => Self::Not,
            "==" => Self::DoubleEquals,
            "=" => Self::Equals,
            ">" => Self::Greater,
            "<" => Self::Less,
            "!=" => Self::NotEquals,
            "(" => Self::Open,
            _ => return None,
        })
    }

    /// As it was typed.
    pub(super) fn text(self) -> &'t str {
        match self {
            Self::Close => ")",
            Self::Comma => ",",
            Self::Not => "!",
            Self::DoubleEquals => "==",
            Self::Equals => "=",
            Self::Greater => ">",
            Self::Word(text) => text,
            Self::Less => "<",
            Self::NotEquals => "!=",
            Self::Open => "(",
            Self::End => "",
        }
    }
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The tokens of a selector, one ahead.
pub(super) struct Lexer<'t> {
    rest: &'t str,
    ahead: Option<Token<'t>>,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { rest: text, ahead: None }
    }

    /// The next token, which stays the next.
    pub(super) fn peek(&mut self) -> Token<'t> {
        let token = match self.ahead {
            Some(token) => token,
            None => self.scan(),
        };
        self.ahead = Some(token);
        token
    }

    /// The next token. At the end it is [`Token::End`] for ever.
    pub(super) fn next(&mut self) -> Token<'t> {
        let token = self.peek();
        self.ahead = None;
        token
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn scan(&mut self) -> Token<'t> {
        let blanks = self.rest.bytes().take_while(|byte| is_blank(*byte)).count();
        self.take(blanks);
        // To upstream's reader a zero byte is the end: of a token, or where one
        // would begin of it all.
        if self.rest.is_empty() || self.rest.starts_with('\0') {
            self.rest = "";
            return Token::End;
        }
        let token = self.token();
        if let Some(rest) = self.rest.strip_prefix('\0') {
            self.rest = rest;
        }
        token
    }

    fn token(&mut self) -> Token<'t> {
        // Two marks that are one operator, or the first alone.
        let mark = [2, 1].into_iter().find_map(|length| Token::mark(self.rest.get(..length)?));
        if let Some(mark) = mark {
            self.take(mark.text().len());
            return mark;
        }
        let is_word = |byte: &u8| !is_mark(*byte) && !is_blank(*byte) && *byte != 0;
        Token::Word(self.take(self.rest.bytes().take_while(is_word).count()))
    }
}
