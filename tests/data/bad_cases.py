"""The table of bad inputs: how each is made, and what it must lead to."""

# One case a line reads as a table.
# ruff: noqa: E501

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

import bad_archives as bad
from bad_tables import (
    GOOD_CSV,
    Maker,
    altered_parquet,
    binary_parquet,
    csv,
    damage_footer,
    dense_parquet,
    dictionary_parquet,
    endless_parquet,
    good_columns,
    jsonl,
    line,
    parquet,
    train_and_test,
    unnamed_dictionary_parquet,
)
from imdb_files import npy


@dataclass(frozen=True)
class Case:
    """One bad input: how to make it, and a pattern of the error's line (E) or of a notice (W)."""

    name: str
    make: Maker
    error: str = ""
    notice: str = ""
    options: tuple[tuple[str, str], ...] = ()


def case(name: str, make: Maker, error: str = "", *, notice: str = "", **options: str) -> Case:
    return Case(name, make, error, notice, tuple(options.items()))


BIG = 10_000_000
# fmt: off
CSV = [
    case("empty", csv(b""), r"reviews\.csv: the file is empty"),
    case("blank lines only", csv("\n \n"), r"reviews\.csv: the file is empty"),
    case("header only", csv("text,label\n"), r"reviews\.csv: it has no rows"),
    case("byte order mark", csv(b"\xef\xbb\xbf" + GOOD_CSV.encode()), notice="byte order mark"),
    case("UTF-16", csv(GOOD_CSV.encode("utf-16")), r"reviews\.csv: it is not UTF-8 .*UTF-16"),
    case("UTF-16 unmarked", csv(GOOD_CSV.encode("utf-16-be")), r"reviews\.csv: it is not UTF-8 .*UTF-16"),
    case("UTF-32", csv(GOOD_CSV.encode("utf-32")), r"reviews\.csv: it is not UTF-8 .*UTF-32"),
    case(
        "bad UTF-8", csv(GOOD_CSV.encode() + b"caf\xe9,pos\n"), r"reviews\.csv, line 4: .*0xe9 at offset 45\)"
    ),
    case(
        "bad UTF-8 far on",
        csv(b"text,label\n" + b"ab\xc3\xa9,x\n" * 300_000 + b"\xc3,y\n"),
        r"reviews\.csv, line 300002: .*0xc3 at offset 2100011\)",
    ),
    case("UTF-8 cut off", csv(GOOD_CSV.encode() + b"x,\xc3"), r"line 4: .*0xc3 at offset 44\)"),
    case("NUL", csv(GOOD_CSV + "a\0b,pos\n"), r"reviews\.csv, line 4: a NUL"),
    case("open quote", csv(GOOD_CSV + '"never closed,pos\nx,neg\n'), r"reviews\.csv, row 4: a quote is opened"),
    case("quote closed early", csv(GOOD_CSV + '"a"b,pos\n'), r"reviews\.csv, row 4: the row cannot be read"),
    case("long row", csv(GOOD_CSV + "a,b,pos\n"), r"reviews\.csv, row 4: .*does not fit.*got 3 fields"),
    case("short row", csv(GOOD_CSV + "a\n"), r"reviews\.csv, row 4: .*does not fit.*got 1 fields"),
    case(
        "long row after a line break in a field",
        csv('text,label\n"a\nb\nc",pos\nx,y,z\n'),
        r"reviews\.csv, row 3 \(line 5\): .*does not fit",
    ),
    case("doubled header", csv("text,label,text\na,b,c\n"), r"reviews\.csv: two columns.*'text' twice"),
    case("header again", csv(GOOD_CSV + "text,label\nx,pos\n"), r"reviews\.csv, row 4: the header stands here"),
    case("missing column", csv(GOOD_CSV), r"reviews\.csv: there is no such column.*'txt'.*Try: text", text_column="txt"),
    case("missing label column", csv(GOOD_CSV), r"label_column='y'", label_column="y"),
    case("no header", csv("".join(f"film {i} was so so,{c}\n" for i in range(9) for c in "pn")), r"row 1: the first row looks like data"),
    case("single column", csv("text\nfilm\n"), r"reviews\.csv: there is a single column"),
    case("two text columns", csv("text,review,label\na,b,c\n"), r"candidates: 'text', 'review'\).*--text-column"),
    case("two label columns", csv("text,class,label\na,b,c\n"), r"candidates: 'class', 'label'\).*--label-column"),
    case("no clear column", csv("a,b,c\n1,2,3\n"), r"not clear which column is the text.*--text-column"),
    case("one class", csv("text,label\na,pos\nb,pos\n"), r"reviews\.csv: there is a single class .*'pos'"),
    case("a class a row", csv("text,label\n" + "".join(f"t,{i}\n" for i in range(1001))), r"too many classes .*1,001"),
    case("empty label", csv(GOOD_CSV + "film,\n"), r"reviews\.csv, row 4: the label is empty"),
    case(
        "unseen label",
        train_and_test(GOOD_CSV, "text,label\na,pos\nb,mixed\n"),
        r"test\.csv, row 3: test has a label that training never shows \(got label='mixed'\)",
    ),
    case("unknown split", csv("text,label,split\na,pos,training\nb,neg,future\n"), r"row 3: the split is unknown"),
    case("no training rows", csv("text,label,split\na,pos,test\n"), r"no row for training"),
    case("10 MB field", csv(GOOD_CSV + "a" * BIG + ",pos\n"), r"reviews\.csv, row 4: a field is too large"),
    case("10 MB of emoji", csv(GOOD_CSV + "\U0001f600" * (BIG // 4) + ",pos\n"), r"row 4: a field is too large"),
    case("10 MB open quote", csv(GOOD_CSV + '"' + "ab, \n" * BIG), r"row 4: a field is too large.*never closed"),
    case("endless line", csv(GOOD_CSV + "a," * BIG), r"reviews\.csv, line 4: the line is too long"),
    case("too many columns", csv(",".join(map(str, range(10_001))) + "\n"), r"too many columns .*10,001"),
    case("empty text", csv(GOOD_CSV + ",pos\n"), notice=r"1 text is empty"),
    case("blank lines", csv(GOOD_CSV + "\n\n"), notice=r"2 blank lines were skipped"),
    case("semicolons", csv(GOOD_CSV.replace(",", ";")), notice=r"separated by semicolons"),
    case("guessed columns", csv("a,b\n" + "one two three four %d,x\nfive six seven %d,y\n" * 4 % (*range(8),)),
         notice=r"columns were guessed"),
    case("similar labels", csv(GOOD_CSV + "film,Pos\n"), notice=r"'Pos' and 'pos' differ only by case"),
    case("row in train and test", train_and_test(GOOD_CSV, GOOD_CSV), notice=r"2 texts of test stand also in train"),
    case("unknown format", csv("x", "reviews.xlsx"), r"reviews\.xlsx: the file format is unknown.*save the sheet"),
    case("no such file", lambda folder: folder / "none.csv", r"none\.csv: there is no such file"),
    case("no such name", lambda _: Path("imbd"), r"imbd: there is no such file or folder.*imdb"),
    case("empty folder", lambda folder: folder, r"the layout is unknown"),
]
JSONL = [
    case("empty", csv(b"", "reviews.jsonl"), r"reviews\.jsonl: the file is empty"),
    case("broken line", jsonl('{"text": "a"'), r"reviews\.jsonl, line 3: not valid JSON"),
    case("two values", jsonl(line(text="a", label="b") * 2), r"reviews\.jsonl, line 3: not valid JSON"),
    case("array", jsonl("[1, 2]"), r"reviews\.jsonl, line 3: an object belongs here \(got an array\)"),
    case("string", jsonl('"a"'), r"line 3: an object belongs here \(got a string\)"),
    case("doubled key", jsonl('{"text": "a", "label": "pos", "text": "b"}'), r"line 3: a key stands twice .*'text'"),
    case("doubled key within", jsonl('{"text": "a", "label": "pos", "x": {"k": 1, "k": 2}}'), r"line 3: a key"),
    case("NaN", jsonl('{"text": "a", "label": NaN}'), r"reviews\.jsonl, line 3: NaN is no JSON"),
    case("infinity", jsonl('{"text": "a", "label": -Infinity}'), r"line 3: -Infinity is no JSON"),
    case("too large", jsonl('{"text": "a", "label": 1e999}'), r"line 3: a number is too large"),
    case("depth", jsonl('{"text": ' + "[" * 100_000), r"reviews\.jsonl, line 3: the nesting is deeper than 64"),
    case("depth closed", jsonl('{"x": ' * 100_000 + "1" + "}" * 100_000), r"line 3: the nesting is deeper"),
    case("brackets in an endless string", jsonl('{"text": "' + '\\"[' * 3_000_000), r"line 3: not valid JSON"),
    case("lone surrogate", jsonl('{"text": "a\\uD800", "label": "pos"}'), r"line 3: a lone surrogate.*\\ud800"),
    case("lone surrogate key", jsonl('{"text": "a", "label": "pos", "\\udc00": 1}'), r"line 3: a lone surrogate"),
    case("long integer", jsonl('{"text": "a", "label": ' + "9" * 5000 + "}"), r"line 3: .*5,000 digits"),
    case("missing field", jsonl(line(text="a")), r"reviews\.jsonl, line 3: a field is missing \(no 'label'\)"),
    case("number for text", jsonl(line(text=1, label="pos")), r"line 3: the field 'text'.*got a number"),
    case("object for label", jsonl(line(text="a", label={})), r"line 3: the field 'label'.*got an object"),
    case("null label", jsonl(line(text="a", label=None)), r"reviews\.jsonl, line 3: the label is empty"),
    case("bad UTF-8", jsonl(b'{"text": "\xff"}'), r"reviews\.jsonl, line 3: .*0xff at offset \d+"),
    case("NUL", jsonl('{"text": "\0"}'), r"reviews\.jsonl, line 3: a NUL"),
    case("UTF-16", csv(line(text="a").encode("utf-16"), "reviews.jsonl"), r"UTF-16"),
    case("10 MB field", jsonl(line(text="a" * BIG, label="pos")), r"line 3: a field is too large"),
    case("one class", csv(line(text="a", label=1), "reviews.jsonl"), r"single class"),
    case("JSON, not JSONL", csv("[]", "reviews.json"), r"format is unknown.*one JSON object a line"),
    case("null text", jsonl(line(text=None, label="pos")), notice=r"1 text is missing"),
    case("byte order mark", csv(b"\xef\xbb\xbf" + GOOD_CSV.encode()), notice="byte order mark"),
]
PARQUET = [
    case("empty", csv(b"", "reviews.parquet"), r"reviews\.parquet: the file is empty"),
    case(
        "bad magic", altered_parquet(lambda p: b"PK\3\4" + p[4:]), r"reviews\.parquet: it is no Parquet file"
    ),
    case("cut footer", altered_parquet(lambda p: p[:-20]), r"reviews\.parquet: the footer is cut"),
    case("half", altered_parquet(lambda p: p[: len(p) // 2]), r"reviews\.parquet: the footer is cut"),
    case("magic alone", altered_parquet(lambda _: b"PAR1"), r"reviews\.parquet: the footer is cut"),
    case("footer length", altered_parquet(lambda p: p[:-8] + b"\xff\xff\xff\x7fPAR1"), r"the footer is cut"),
    case("footer content", altered_parquet(damage_footer), r"cannot be read as Parquet"),
    case("page content", altered_parquet(lambda p: p[:4] + bytes(60) + p[64:]), r"cannot be read as Parquet"),
    case("encrypted", altered_parquet(lambda p: b"PARE" + p[4:-4] + b"PARE"), r"it is no Parquet file"),
    case(
        "list column", parquet(good_columns(text=[["a"], ["b"]])), r"the column 'text' is nested \(got .*list"
    ),
    case("struct column", parquet(good_columns(label=[{"a": 1}, {"a": 2}])), r"the column 'label' is nested"),
    case(
        "binary column", parquet(good_columns(text=[b"a", b"b"])), r"the column 'text' is of the wrong kind"
    ),
    case("number for text", parquet(good_columns(text=[1, 2])), r"the column 'text' is of the wrong kind"),
    case("not UTF-8", binary_parquet, r"reviews\.parquet, row 2: .*0xe9 at offset 3 of the text"),
    case("no rows", parquet({"text": [], "label": []}), r"of the wrong kind|no rows"),
    case("dense pages", dense_parquet, r"reviews\.parquet: it would unfold too much"),
    case("dictionary bomb", dictionary_parquet, r"reviews\.parquet, row \d+: the file unfolds into too much"),
    case("dictionary bomb unnamed", unnamed_dictionary_parquet, r"reviews\.parquet: it is not clear"),
    case("row bomb", endless_parquet, r"reviews\.parquet: it declares too many rows .*11,000,000"),
    case("10 MB field", parquet(good_columns(text=["a" * BIG, "b"])), r"row 1: a field is too large"),
    case(
        "null label",
        parquet(good_columns(label=["pos", None])),
        r"reviews\.parquet, row 2: the label is empty",
    ),
    case("NaN label", parquet(good_columns(label=[1.0, float("nan")])), r"row 2: the label is not a number"),
    case("missing column", parquet(good_columns()), r"'y'.*one of 'text', 'label'", label_column="y"),
    case("null text", parquet(good_columns(text=["a", None])), notice=r"1 text is missing"),
]
NPZ = [
    case("pickle payload", bad.pickled(bad.Payload()), r"reviews\.npz, x_train\.npy: the pickle"),
    case("pickled code", bad.pickled(bad.Evaluation()), r"reviews\.npz, x_train\.npy: the pickle"),
    case("payload within", bad.pickled_within([[1], bad.Payload()]), r"x_train\.npy: the pickle"),
    case("payload as a token", bad.pickled_within([[1], [bad.Payload()]]), r"x_train\.npy: the pickle"),
    case(
        "shape bomb", bad.raw_npz(y_train=npy(b"", (10**12,), "<i8")), r"y_train\.npy: its shape does not fit"
    ),
    case("shape bomb, objects", bad.raw_npz(x_train=npy(b"", (10**12,))), r"x_train\.npy: its shape"),
    case("negative shape", bad.raw_npz(y_train=npy(b"ab", (-1,), "<i8")), r"y_train\.npy: its shape"),
    case("shape bomb in the pickle", bad.shape_in_pickle, r"x_train\.npy: .*shape does not fit its items"),
    case(
        "allocation in the pickle",
        bad.allocation_in_pickle,
        r"x_train\.npy: .*calls ndarray in an unknown way",
    ),
    case("memo bomb", bad.memo_in_pickle, r"x_train\.npy: the pickle holds more"),
    case("reference bomb", bad.references_in_pickle, r"x_train\.npy: it would unfold too much .*100,000,000"),
    case("zip bomb", bad.zeros_npz, r"y_train\.npy: it would unfold too much"),
    case("crowd", bad.crowded_npz, r"reviews\.npz: it has too many members .*5,000"),
    case(
        "length mismatch", bad.npz(y_train=[0, 1, 1]), r"x_train and y_train differ in length \(got 2 and 3\)"
    ),
    case("negative token", bad.npz(x_train=[[1], [2, -3]]), r"x_train\.npy, row 2: a token id .*got -3"),
    case("huge token", bad.npz(x_test=[[1], [2**31]]), r"x_test\.npy, row 2: a token id .*got 2147483648"),
    case("endless token", bad.npz(x_test=[[1], [2**62]]), r"x_test\.npy, row 2: a token id"),
    case("token of 1,000 bits", bad.npz(x_test=[[1], [2**1000]]), r"x_test\.npy: the pickle holds more"),
    case("word for token", bad.pickled_within([[1], ["film"]]), r"x_train\.npy: the pickle holds more"),
    case(
        "number for review",
        bad.pickled_within([[1], 7]),
        r"x_train\.npy, row 2: it is not a list \(got int\)",
    ),
    case("unknown label", bad.npz(y_test=[0, 7]), r"y_test\.npy, row 2: the label is unknown \(got 7\)"),
    case("one class", bad.npz(y_train=[1, 1]), r"single class .*positive"),
    case("missing array", bad.npz(y_test=None), r"reviews\.npz: the array y_test is missing"),
    case(
        "two dimensions",
        bad.raw_npz(x_train=npy(b"abcd", (2, 2))),
        r"x_train\.npy: it is not one-dimensional",
    ),
    case("float labels", bad.raw_npz(y_train=npy(bytes(16), (2,), "<f8")), r"does not hold integers"),
    case("damaged header", bad.raw_npz(x_train=b"\x93NUMPY\1\0\xff\xff{     "), r"x_train\.npy: its header"),
    case("deep header", bad.raw_npz(x_train=npy(b"", "(" * 1000)), r"x_train\.npy: "),
    case("no .npy", bad.raw_npz(x_train=b"hello"), r"x_train\.npy: it is no \.npy file"),
    case("half", bad.cut(bad.npz()), r"reviews\.npz: it is no \.npz file, or cut short"),
    case("no zip", bad.written(b"hello" * 100, "reviews.npz"), r"reviews\.npz: it is no \.npz file"),
]
TAR = [
    case("parent folder", bad.archive_with("../evil.txt"), r"reviews\.tar\.gz: .*leads outside.*'\.\./evil\.txt'"),
    case("parent folder within", bad.archive_with("aclImdb/../../evil"), r"leads outside"),
    case("absolute", bad.archive_with("/etc/evil"), r"leads outside"),
    case("long parent", bad.archive_with("aclImdb/" + "a" * 120 + "/../../../evil"), r"leads outside"),
    case("symbolic link", bad.archive_with("aclImdb/x", tarfile.SYMTYPE, "/etc/passwd"), r"a symbolic link"),
    case("hard link", bad.archive_with("aclImdb/x", tarfile.LNKTYPE, "aclImdb/README"), r"a hard link"),
    case("character device", bad.archive_with("aclImdb/x", tarfile.CHRTYPE), r"a character device"),
    case("block device", bad.archive_with("aclImdb/x", tarfile.BLKTYPE), r"a block device"),
    case("named pipe", bad.archive_with("aclImdb/x", tarfile.FIFOTYPE), r"a named pipe"),
    case("unknown kind", bad.archive_with("aclImdb/x", b"Z"), r"of an unknown kind"),
    case("a million members", bad.million_members, r"reviews\.tar\.gz: it has too many members"),
    case("gzip bomb", bad.gzip_bomb, r"reviews\.tar\.gz: it unfolds too much"),
    case("half", bad.cut(bad.archive), r"reviews\.tar\.gz: it is cut short"),
    case("no end", bad.altered_archive(lambda tar: tar.__delitem__(slice(-10240, None))), r"cut short|no end"),
    case("checksum of gzip", bad.corrupted_archive, r"reviews\.tar\.gz: it is cut short or corrupted"),
    case("damaged header", bad.altered_archive(lambda tar: tar.__setitem__(1030, 88)), r"header of member 2 is damaged"),
    case("no gzip", bad.written(b"hello" * 200, bad.ARCHIVE), r"reviews\.tar\.gz: it is cut short or corrupted"),
    case("empty", bad.written(b"", bad.ARCHIVE), r"reviews\.tar\.gz: it is cut short"),
    case("no reviews", lambda f: bad.write_archive(f / bad.ARCHIVE, [("a", b"b")]), r"no reviews in train/pos"),
    case("bad UTF-8", bad.archive_with("aclImdb/train/pos/7_7.txt", payload=b"\xff"),
         r"reviews\.tar\.gz, aclImdb/train/pos/7_7\.txt: .*0xff at offset 0\)"),
    case("10 MB review", bad.archive_with("aclImdb/train/pos/7_7.txt", payload=b"a" * BIG), r"a field is too large"),
]

TABLE = {"csv": CSV, "jsonl": JSONL, "parquet": PARQUET, "npz": NPZ, "tar": TAR}

FINE = {
    "line break in a field": ('text,label\n"a\nb",x\nc,y\n', ["a\nb", "c"], ("x", "y")),
    "CRLF": ("text,label\r\na,x\r\nb,y\r\n", ["a", "b"], ("x", "y")),
    "CR": ("text,label\ra,x\rb,y\r", ["a", "b"], ("x", "y")),
    "no line end": ("text,label\na,x\nb,y", ["a", "b"], ("x", "y")),
    "NA stays a text": ("text,label\nNA,x\nnull,y\n", ["NA", "null"], ("x", "y")),
    "NA stays a label": ("text,label\na,NA\nb,nan\n", ["a", "b"], ("NA", "nan")),
    "01 stays a label": ("text,label\na,01\nb,1\n", ["a", "b"], ("01", "1")),
    "quotes": ('text,label\n"say ""no""",x\nit\'s 5" long,y\n', ['say "no"', 'it\'s 5" long'], ("x", "y")),
    "formula": ("text,label\n=1+1,x\n@a,y\n", ["=1+1", "@a"], ("x", "y")),
    "other line ends": ("text,label\na\u2028b\x85c\x0bd,x\ne,y\n", ["a\u2028b\x85c\x0bd", "e"], ("x", "y")),
    "emoji": ("text,label\n\U0001f468\u200d\U0001f469\u200d\U0001f467,x\n\U0001f600,y\n",
              ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f600"], ("x", "y")),
    "right to left": ("text,label\n\u05e9\u05dc\u05d5\u05dd,x\n\u202e\u0645\u0631\u062d\u0628\u0627,y\n",
                      ["\u05e9\u05dc\u05d5\u05dd", "\u202e\u0645\u0631\u062d\u0628\u0627"], ("x", "y")),
    "combining marks": ("text,label\ne" + "\u0301" * 500 + ",x\n\u00e9,y\n", ["e" + "\u0301" * 500, "\u00e9"], ("x", "y")),
    "white space only": ("text,label\n   ,x\n\u3000\u00a0,y\n", ["   ", "\u3000\u00a0"], ("x", "y")),
    "a word of 1 MB": ("text,label\n" + "w" * 2**20 + ",x\nb,y\n", ["w" * 2**20, "b"], ("x", "y")),
    "a text just under 10 MB": ("text,label\n" + "w" * (BIG - 1) + ",x\nb,y\n", ["w" * (BIG - 1), "b"], ("x", "y")),
}
