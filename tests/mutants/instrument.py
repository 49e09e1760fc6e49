# SPDX-License-Identifier: MIT
"""All small wrong versions of C files at once: a copy of each file in which a number, chosen when the program runs, says
which one place behaves otherwise (mutant_is() in switch.h).

A parser of the C that this tree is written in, not of C: functions' bodies only, statements and expressions, no types.
What it makes of them: a condition of an `if` that never or always holds, a rule (REQUIRE and its like) or a call that is
left out, a comparison with its edge moved or turned, one side of an &&, ||, & or | left out, a |= or &= left out.
Not touched: assertions, what is only said (log_*, explain), constants, labels, the bodies of macros.

A mutant's key is a hash of its file's name (without the folder), function, kind and text (blanks aside), with a number
where the same text stands there more than once: it outlives all changes around it, and a move to another folder. A file
that is renamed, or cut out of another, has a line in CAME_FROM, and its mutants keep their keys and their verdicts.
"""
import hashlib
import os
import re

# The name under which a file's mutants have their keys, for what is called otherwise now.
CAME_FROM = {"merge_state.c": "merge.c", "insn_field.c": "insn_vmcs.c", "guest_linear.c": "guest_mem.c"}
TOKEN = re.compile(r"""(?P<space>\s+|/\*.*?\*/|//[^\n]*|(?<=\n)[ \t]*\#(?:\\\n|[^\n])*)|
(?P<word>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|
(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<op>->|\+\+|--|<<=|>>=|<=|>=|==|!=|&&|\|\||<<|>>|[-+*/%&|^]=|\.\.\.|.)""",
                   re.S | re.X)
TYPES = {"u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "bool", "size_t", "uintptr_t", "gpa_t", "hpa_t", "int", "char",
         "unsigned", "signed", "long", "short", "void", "struct", "enum", "union", "const", "volatile", "va_list", "register"}
LEVELS = (("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", ">", "<=", ">="), ("<<", ">>"), ("+", "-"),
          ("*", "/", "%"))
PRECEDENCE = {op: level for level, ops in enumerate(LEVELS) for op in ops}
ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
EDGES = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "=="}
SILENT = re.compile(r"^(assert|ASSERT|static_assert|log_\w+|explain\w*|panic|print\w*|va_\w+|memset|counters_\w+|trace_\w+|"
                    r"debug_\w+|cpu_relax)$")
RULE = re.compile(r"^(REQUIRE\w*|OK_OR_RETURN)$")


class Unknown(Exception):
    """C that this parser does not know."""


class Mutant:
    def __init__(self, path, function, kind, text, whole):
        self.path, self.function, self.kind, self.text = path, function, kind, text
        self.whole, self.key, self.number, self.line = whole, None, 0, 0


def plain(text):
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", text, flags=re.S)).strip()


class File:
    """One source file; `output` is its copy, `mutants` what it can be made to do."""

    def __init__(self, path, text, first):
        self.path, self.text, self.first = path, text, first
        self.mutants, self.unknown, self.function, self.statement, self.at = [], [], "", "", 0
        self.tokens = [(m.lastgroup, m.group(), m.start(), m.end()) for m in TOKEN.finditer(text) if m.lastgroup != "space"]
        self.output = self.whole_file()
        seen, known_as = {}, os.path.basename(path)
        known_as = CAME_FROM.get(known_as, known_as)
        for mutant in self.mutants:
            name = "|".join((known_as, mutant.function, mutant.kind, mutant.text, mutant.whole))
            seen[name] = seen.get(name, 0) + 1
            mutant.key = hashlib.sha1(("%s|%d" % (name, seen[name])).encode()).hexdigest()[:10]

    # ---- tokens ----
    def peek(self, ahead=0):
        return self.tokens[self.at + ahead][1] if self.at + ahead < len(self.tokens) else ""

    def kind(self, ahead=0):
        return self.tokens[self.at + ahead][0] if self.at + ahead < len(self.tokens) else ""

    def take(self, wanted=None):
        word = self.peek()
        if wanted is not None and word != wanted:
            raise Unknown("%s: %r where %r was expected, near %r" % (self.path, word, wanted, self.near()))
        self.at += 1
        return word

    def near(self):
        start = self.tokens[min(self.at, len(self.tokens) - 1)][2]
        return self.text[max(0, start - 60):start + 30]

    def start(self):
        return self.tokens[self.at][2]

    def end(self):
        return self.tokens[self.at - 1][3]

    def closing(self, at):
        """The index behind the bracket that closes the one at `at`."""
        depth = 0
        while True:
            word = self.tokens[at][1]
            depth += word in ("(", "[", "{")
            depth -= word in (")", "]", "}")
            at += 1
            if depth == 0:
                return at

    # ---- mutants ----
    def mutant(self, kind, text, whole=""):
        mutant = Mutant(self.path, self.function, kind, plain(text), plain(whole or self.statement))
        mutant.number = self.first + len(self.mutants)
        mutant.line = self.text.count("\n", 0, self.tokens[min(self.at, len(self.tokens) - 1)][2]) + 1
        self.mutants.append(mutant)
        return "mutant_is(%d)" % mutant.number

    # ---- the file ----
    def whole_file(self):
        out, done = [], 0
        while self.at < len(self.tokens):
            word = self.peek()
            if word == "{" and self.at and self.tokens[self.at - 1][1] == ")":
                self.function = self.name_of_function()
                out.append(self.text[done:self.start()])
                out.append(self.body_of_function())
                done = self.end()
            elif word in ("{", "(", "["):
                self.at = self.closing(self.at)
            else:
                self.at += 1
        return "".join(out) + self.text[done:]

    def body_of_function(self):
        """What this parser does not know stays as it is, and is told."""
        at, count = self.at, len(self.mutants)
        try:
            return self.block()
        except Unknown as error:
            self.unknown.append("%s: %s" % (self.function, error))
            del self.mutants[count:]
            self.at = self.closing(at)
            return self.text[self.tokens[at][2]:self.end()]

    def name_of_function(self):
        at, depth = self.at - 1, 0
        while True:
            depth += self.tokens[at][1] == ")"
            depth -= self.tokens[at][1] == "("
            if depth == 0:
                return self.tokens[at - 1][1]
            at -= 1

    def gap(self, start):
        """Comments, blanks and preprocessor lines from `start` to the token in hand."""
        return self.text[start:self.start()]

    # ---- statements ----
    def block(self):
        out = [self.take("{")]
        done = self.end()
        while self.peek() != "}":
            out.append(self.gap(done))
            out.append(self.one_statement())
            done = self.end()
        out.append(self.gap(done))
        out.append(self.take("}"))
        return "".join(out)

    def one_statement(self):
        word = self.peek()
        if word == "{":
            return self.block()
        if word == ";":
            return self.take()
        method = getattr(self, "on_" + word, None) if self.kind() == "word" else None
        if method:
            return method()
        if self.kind() == "word" and self.peek(1) == ":" and self.peek(2) != ":":
            self.at += 2
            return word + ":"
        if self.is_type(self.at):
            return self.declaration()
        return self.expression_statement()

    def body(self):
        start = self.end()
        return self.gap(start) + self.one_statement()

    def on_if(self):
        start = self.start()
        self.take("if")
        open_at = self.at
        self.statement = self.text[start:self.tokens[self.closing(open_at) - 1][3]]
        self.take("(")
        never = self.mutant("never", self.statement)
        always = self.mutant("always", self.statement)
        inner = self.text[self.end():self.start()] + self.comma_expression()
        self.take(")")
        out = "if (!%s && (%s || (%s)))" % (never, always, inner) + self.body()
        if self.peek() == "else":
            out += self.gap(self.end()) + self.take() + self.body()
        return out

    def on_while(self):
        start = self.start()
        self.take("while")
        self.statement = self.text[start:self.tokens[self.closing(self.at) - 1][3]]
        self.take("(")
        inner = self.comma_expression()
        self.take(")")
        return "while (%s)" % inner + self.body()

    def on_do(self):
        self.take("do")
        out = "do" + self.body() + self.gap(self.end())
        start = self.start()
        self.take("while")
        self.statement = self.text[start:self.tokens[self.closing(self.at) - 1][3]]
        self.take("(")
        inner = self.comma_expression()
        self.take(")")
        self.take(";")
        return out + "while (%s);" % inner

    def on_for(self):
        start = self.start()
        self.take("for")
        self.statement = self.text[start:self.tokens[self.closing(self.at) - 1][3]]
        self.take("(")
        if self.peek() == ";":
            first = self.take()
        else:
            first = self.declaration() if self.is_type(self.at) else self.comma_expression() + self.take(";")
        self.statement = self.text[start:self.tokens[self.closing(self.index_of_bracket(start)) - 1][3]]
        test = "" if self.peek() == ";" else self.comma_expression()
        self.take(";")
        step = "" if self.peek() == ")" else self.comma_expression()
        self.take(")")
        return "for (%s %s; %s)" % (first, test, step) + self.body()

    def index_of_bracket(self, start):
        at = self.at
        while self.tokens[at][2] > start:
            at -= 1
        return at + 1

    def on_switch(self):
        start = self.start()
        self.take("switch")
        self.statement = self.text[start:self.tokens[self.closing(self.at) - 1][3]]
        self.take("(")
        inner = self.comma_expression()
        self.take(")")
        return "switch (%s)" % inner + self.body()

    def on_case(self):
        start = self.start()
        depth = 0
        while self.peek() != ":" or depth:
            depth += self.peek() == "?"
            self.at += 1
        self.take(":")
        return self.text[start:self.end()]

    def on_default(self):
        self.take("default")
        self.take(":")
        return "default:"

    def on_return(self):
        start = self.start()
        self.take("return")
        if self.peek() == ";":
            return "return" + self.take()
        self.statement = self.text[start:self.end_of_statement()]
        return "return " + self.comma_expression() + self.take(";")

    def on_goto(self):
        return self.as_it_stands()

    on_break = on_continue = on_asm = on___asm__ = on_static_assert = on_goto

    def end_of_statement(self):
        at = self.at
        while self.tokens[at][1] != ";":
            at = self.closing(at) if self.tokens[at][1] in ("(", "[", "{") else at + 1
        return self.tokens[at][3]

    def as_it_stands(self):
        start, end = self.start(), self.end_of_statement()
        while self.end() < end or self.tokens[self.at - 1][1] != ";":
            self.at += 1
        return self.text[start:end]

    def is_type(self, at):
        """Do the tokens from here on declare something?"""
        word, kind = self.tokens[at][1], self.tokens[at][0]
        if word in TYPES or word in ("static", "extern", "__typeof__"):
            return True
        return kind == "word" and self.tokens[at + 1][0] == "word"

    def declaration(self):
        start = self.start()
        self.statement = self.text[start:self.end_of_statement()]
        if "static" in self.statement.split("=")[0].split():
            return self.as_it_stands()
        out, done = [], start
        while self.peek() != ";":
            word = self.peek()
            if word == "=":
                self.take()
                out.append(self.text[done:self.start()])
                out.append(self.initializer())
                done = self.end()
            elif word in ("(", "[", "{"):
                self.at = self.closing(self.at)
            else:
                self.at += 1
        self.take(";")
        return "".join(out) + self.text[done:self.end()]

    def initializer(self):
        if self.peek() != "{":
            return self.assignment()
        out = [self.take("{")]
        done = self.end()
        while self.peek() != "}":
            if self.peek() == ",":
                self.take()
            elif self.peek() == "." or self.peek() == "[":
                while self.peek() != "=":
                    self.at = self.closing(self.at) if self.peek() == "[" else self.at + 1
                self.take("=")
            else:
                out.append(self.text[done:self.start()])
                out.append(self.initializer())
                done = self.end()
        out.append(self.text[done:self.start()])
        out.append(self.take("}"))
        return "".join(out)

    def expression_statement(self):
        start = self.start()
        self.statement = self.text[start:self.end_of_statement()]
        name = self.peek() if self.kind() == "word" and self.peek(1) == "(" else ""
        if name and SILENT.match(name):
            return self.as_it_stands()
        call_end = self.tokens[self.closing(self.at + 1)][1] == ";" if name else False
        left_out = ""
        if call_end:
            left_out = self.mutant("rule" if RULE.match(name) else "call", self.statement)
            inner = self.rule(name) if name.startswith("REQUIRE") else self.comma_expression()
        else:
            before = self.at
            operator = self.assignment_operator()
            if operator in ("|=", "&="):
                left_out = self.mutant("mask", self.statement)
            self.at = before
            inner = self.comma_expression()
        if self.peek() != ";":  # a macro that needs none
            raise Unknown("%s: no end of %r" % (self.path, self.statement))
        self.take(";")
        return "do { if (!%s) %s; } while (0);" % (left_out, inner) if left_out else inner + ";"

    def assignment_operator(self):
        at = self.at
        while self.tokens[at][1] != ";":
            if self.tokens[at][1] in ASSIGNMENTS:
                return self.tokens[at][1]
            at = self.closing(at) if self.tokens[at][1] in ("(", "[", "{") else at + 1
        return ""

    def rule(self, name):
        """REQUIRE(rule, condition or mask...): the rule is a name, and the rest are expressions."""
        self.take()
        self.take("(")
        out = [self.take()]
        while self.peek() == ",":
            self.take()
            out.append(self.assignment())
        self.take(")")
        return "%s(%s)" % (name, ", ".join(out))

    # ---- expressions ----
    def comma_expression(self):
        out = self.assignment()
        while self.peek() == ",":
            self.take()
            out += ", " + self.assignment()
        return out

    def assignment(self):
        left = self.conditional()
        if self.peek() in ASSIGNMENTS:
            operator = self.take()
            return left + " " + operator + " " + self.assignment()
        return left

    def conditional(self):
        test = self.binary(0)
        if self.peek() != "?":
            return test
        self.take()
        if self.peek() == ":":
            self.take()
            return "%s ?: %s" % (test, self.conditional())
        yes = self.comma_expression()
        self.take(":")
        return "%s ? %s : %s" % (test, yes, self.conditional())

    def binary(self, level):
        start = self.start()
        left = self.unary()
        left_text = self.text[start:self.end()]
        first = True
        while self.peek() in PRECEDENCE and PRECEDENCE[self.peek()] >= level:
            operator = self.take()
            right_start = self.start()
            right = self.binary(PRECEDENCE[operator] + 1)
            right_text = self.text[right_start:self.end()]
            text = self.text[start:self.end()]
            left = self.changed(operator, (left, left_text), (right, right_text), text, first)
            left_text, first = text, False
        return left

    def changed(self, operator, left, right, text, first):
        whole = "%s %s %s" % (left[0], operator, right[0])
        choices = []
        if operator in EDGES:
            choices.append((self.mutant("edge", text), "(%s) %s (%s)" % (left[1], EDGES[operator], right[1])))
        elif operator in ("&&", "||", "&", "|"):
            choices.append((self.mutant("without " + plain(right[1])[:40], text), left[1]))
            # A mask stands on the right; in a list each is left out once.
            if operator in ("&&", "||", "|") and first:
                choices.append((self.mutant("without " + plain(left[1])[:40], text), right[1]))
        for which, other in choices:
            whole = "(%s ? (%s) : (%s))" % (which, other, whole)
        return whole

    def unary(self):
        word = self.peek()
        if word in ("!", "~", "-", "+", "*", "&", "++", "--"):
            self.take()
            return word + self.unary()
        if word == "sizeof":
            start = self.start()
            self.take()
            if self.peek() == "(":
                self.at = self.closing(self.at)
            else:
                self.unary()
            return self.text[start:self.end()]
        if word == "(" and (self.peek(1) in TYPES or self.peek(1) == "__typeof__"):
            start = self.start()
            self.at = self.closing(self.at)
            cast = self.text[start:self.end()]
            if self.peek() == "{":
                return self.postfix(cast + self.initializer())
            return cast + self.unary()
        return self.postfix(self.primary())

    def primary(self):
        if self.peek() == "(":
            if self.peek(1) == "{":
                start = self.start()
                self.at = self.closing(self.at)
                return self.text[start:self.end()]
            self.take("(")
            inner = self.comma_expression()
            self.take(")")
            return "(%s)" % inner
        if self.kind() not in ("word", "number", "string"):
            raise Unknown("%s: %r begins no expression, near %r" % (self.path, self.peek(), self.near()))
        word = self.take()
        while self.kind() == "string":  # strings side by side
            word += " " + self.take()
        return word

    def postfix(self, out):
        while True:
            word = self.peek()
            if word in ("++", "--"):
                out += self.take()
            elif word in ("->", "."):
                out += self.take() + self.take()
            elif word == "[":
                self.take()
                out += "[" + self.comma_expression() + self.take("]")
            elif word == "(":
                out = self.call(out)
            else:
                return out

    def call(self, name):
        start = self.start()
        if re.match(r"^(offsetof|container_of|__builtin_\w+|va_\w+|static_assert|assert|[A-Z]\w*)$", name) and \
                name not in ("MIN", "MAX", "REQUIRE"):
            # Macros of bits and places: constants as a rule, which stay ones.
            self.at = self.closing(self.at)
            return name + self.text[start:self.end()]
        self.take("(")
        arguments = []
        while self.peek() != ")":
            # a type as argument, of a macro
            if self.is_type(self.at) and self.peek() in TYPES:
                first = self.start()
                while self.peek() not in (",", ")"):
                    self.at += 1
                arguments.append(self.text[first:self.end()])
            else:
                arguments.append(self.assignment())
            if self.peek() == ",":
                self.take()
        self.take(")")
        return "%s(%s)" % (name, ", ".join(arguments))


def instrument(path, text, first):
    """The copy of a file, its mutants, numbered from `first`, and the functions that are not understood."""
    file = File(path, text, first)
    return '#include "vmx/mutant_switch.h"\n' + file.output, file.mutants, file.unknown
