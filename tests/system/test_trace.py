# SPDX-License-Identifier: MIT
"""The exit trace and the tool that reads it: against what Socle itself has counted, and with files that are no traces."""
import csv
import html.parser
import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import tty

import pytest
from conftest import BUILD, ELF, ROOT, assert_no_accident, boot, guest_image, image, machine, show

TOOL = os.path.join(ROOT, "tools", "trace", "socle-trace")
sys.path.insert(0, os.path.join(ROOT, "tools", "trace"))

import read  # noqa: E402
import slices  # noqa: E402
import symbols as symbols_of  # noqa: E402
import tables  # noqa: E402

HEAD = "trace: form 1 build-id %s tsc-khz 1000000 cpus 1" % ("ab" * 20)
CPUID, VMRESUME, VMREAD = 10, 24, 23
ROUNDS = 100


def line(number, reason, level, begin, end, flags=0, rip=0x1000, cpu=0, subject=0):
    word = number | reason << 32 | level << 48 | flags << 56
    return "trace: %d %x %x %x %x %x %x %x %x" % (cpu, word, begin, end, rip, subject, 0x2000, 0, 0)


# L2 exits, L1 reads a field, goes to L2 again, twice
TRIPS = [HEAD] + [text for i in (0, 1) for text in (
    line(3 * i, CPUID, 2, 1000 * i + 100, 1000 * i + 200, read.TO_L1),
    line(3 * i + 1, VMREAD, 1, 1000 * i + 300, 1000 * i + 350, rip=0x5000),
    line(3 * i + 2, VMRESUME, 1, 1000 * i + 400, 1000 * i + 500, read.THEN_L2, rip=0x6000))]


def tool(*arguments, text=None):
    return subprocess.run(["/usr/bin/python3", TOOL, *arguments], input=text, capture_output=True, text=True, check=False,
                          timeout=120)


def figures(page):
    """{table: rows of cells} of a page's tables that have an id."""
    found = {}

    class Parser(html.parser.HTMLParser):
        rows = cell = None

        def handle_starttag(self, tag, attrs):
            if tag == "table" and dict(attrs).get("id"):
                self.rows = found.setdefault(dict(attrs)["id"], [])
            elif tag == "table":
                self.rows = None
            elif tag == "tr" and self.rows is not None:
                self.rows.append([])
            elif tag in ("td", "th") and self.rows:
                self.rows[-1].append("")
                self.cell = True

        def handle_endtag(self, tag):
            self.cell = None if tag in ("td", "th") else self.cell

        def handle_data(self, data):
            if self.cell and self.rows and self.rows[-1]:
                self.rows[-1][-1] += data

    Parser().feed(page)
    return found


# ---- the tool alone ----

def test_what_is_no_event():
    """Lines are found wherever they stand; what is no event is counted, and never believed."""
    bad = ["trace: 0 1 2 3", "trace: 600 " + TRIPS[1].split(" ", 2)[2], line(0, CPUID, 3, 1, 2), line(0, CPUID, 1, 0, 2),
           line(0, CPUID, 1, 9, 2), "trace: 0 " + " ".join(["f" * 17] * 8)]
    trace = read.read(["noise"] + bad + ["socle: " + TRIPS[0], "[ 1.0] " + TRIPS[1] + "\r\n", "a trace: of nothing"])
    assert [event.reason for event in trace.events()] == [CPUID]
    assert trace.skipped == len(bad) and trace.khz == 1000000 and trace.build_id == "ab" * 20
    with pytest.raises(read.TraceError):
        read.read([HEAD.replace("form 1", "form 2")])


def test_events_are_told_once():
    """Two dumps of one ring overlap; the later one has the entry that the earlier one had not."""
    first = [line(0, CPUID, 1, 100, 200), line(1, CPUID, 1, 300, 0)]
    later = [line(1, CPUID, 1, 300, 400), line(2, CPUID, 1, 500, 600)]
    for text in (first + later, later + first):
        events = read.read(text).events()
        assert [(event.number, event.entry) for event in events] == [(0, 200), (1, 400), (2, 600)]
    trace = read.read([line(0, CPUID, 1, 100, 500), line(1, CPUID, 1, 300, 400)])
    assert len(trace.events()) == 1 and trace.backwards == 1


def test_slices_fill_the_time():
    trace = read.read(TRIPS)
    assert slices.shares(trace) == [500, 300, 600]
    assert [(one.level, one.begin, one.end) for one in slices.of_trace(trace)][:4] == [
        (0, 100, 200), (1, 200, 300), (0, 300, 350), (1, 350, 400)]


def test_a_gap_is_no_time():
    """Events that are missing were not one long stay in a guest."""
    trace = read.read([line(0, CPUID, 1, 100, 200), line(9, CPUID, 1, 90000, 90100)])
    assert slices.shares(trace) == [200, 0, 0]
    cut = [TRIPS[1], line(7, VMRESUME, 1, 90000, 90100, read.THEN_L2)]
    assert slices.trips(read.read(cut)) == []


def test_round_trips():
    trace = read.read(TRIPS + [line(6, CPUID, 2, 5000, 5100, read.TO_L1)])
    assert [(trip.ticks, trip.exits) for trip in slices.trips(trace)] == [(400, 2), (400, 2)]
    way, = slices.multiplication(trace)
    assert (way.reason, way.count, way.exits, way.median) == ("CPUID", 2, 2.0, 400)
    # an exit of L2's that L0 handles is none
    own = read.read([line(0, CPUID, 2, 100, 110, read.THEN_L2), line(1, CPUID, 2, 320, 330, read.THEN_L2)])
    assert slices.trips(own) == []


@pytest.mark.parametrize("percent, wanted", ((50, 5), (90, 9), (99, 10), (100, 10), (1, 1)))
def test_percentiles(percent, wanted):
    assert slices.percentile(list(range(1, 11)), percent) == wanted
    assert slices.percentile([7], percent) == 7


def test_symbols(tmp_path):
    listing = tmp_path / "System.map"
    listing.write_text("0000000000001000 T first\n0000000000001100 t second\n0000000000001200 D data\n")
    symbols = symbols_of.Symbols()
    symbols.add("l1=%s+0x10" % listing)
    assert [symbols.name(1, at) for at in (0xfff, 0x1010, 0x110f, 0x1110, 0x9000000)] == [
        "fff", "first", "first", "second", "9000000"]
    assert symbols.name(2, 0x1010) == "1010"
    for wrong in ("l3=x", str(listing), "l1=/nowhere", "l2=" + os.devnull):
        with pytest.raises(read.TraceError):
            symbols.add(wrong)


def test_tables_are_socles():
    assert tables.REASONS[VMREAD] == "VMREAD" and tables.FIELDS[0x681e] == "guest_rip"
    event = read.read([line(0, VMREAD, 1, 1, 2, subject=0x681e)]).events()[0]
    assert tables.subject(event) == "field 681e guest_rip"


@pytest.mark.parametrize("arguments, text, said", (
    (("-",), "", "no events"),
    (("/nowhere/file",), None, "No such file"),
    (("-", "--khz", "-1"), TRIPS, "--khz -1"),
    (("-", "--symbols", "kernel"), TRIPS, "--symbols kernel"),
))
def test_what_cannot_be_read(arguments, text, said):
    done = tool(*arguments, text="\n".join(text) if text else text)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done
    assert done.stderr.count("\n") == 1, done


def test_bytes_that_are_no_text():
    """In standard input as in a file, and in a locale without UTF-8."""
    text = b"\xff\xfe \x80 noise\n" + "\n".join(TRIPS).encode() + b"\n\xc3"
    done = subprocess.run(["/usr/bin/python3", TOOL, "-"], input=text, capture_output=True, check=False, timeout=120,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"})
    assert not done.returncode and done.stdout.startswith(b"%d events" % (len(TRIPS) - 1)), done


def test_garbage():
    """Bytes of all kinds: one line, or a summary, never a traceback."""
    random = __import__("random").Random(1)
    for _ in range(20):
        text = list("\n".join(TRIPS))
        for _ in range(random.randrange(1, 60)):
            text[random.randrange(len(text))] = chr(random.choice((0, 10, 32, 48, 49, 102, 120, 255, 0x2028)))
        trace = read.read("".join(text).splitlines())
        if trace.cpus:
            slices.costs(trace), slices.multiplication(trace), slices.shares(trace)


# ---- against Socle's own counters ----

def counted(result):
    """{(level, reason): count} of the first pair of lines `exits` after `at`."""
    found = {}
    for level, text in re.findall(r"^socle: exits L([12]) (.*)$", "\n".join(result.lines), re.M):
        for name, count, to_l1 in re.findall(r"(\w+)=(\d+)(?:\((\d+)\))?", text):
            found[int(level), name] = (int(count), int(to_l1 or 0))
    return found


@pytest.fixture(scope="module", name="recorded")
def fixture_recorded(tmp_path_factory):
    """A boot in which each exit is recorded, and what the tool makes of its console."""
    result = boot(guest_image("traced"), l1_args="tests=careful trace", options="trace=1M", model="haswell", ips=2_000_000)
    assert_no_accident(result)
    assert result.having("^RESULT careful cpuids=%d$" % ROUNDS), show(result)
    folder = tmp_path_factory.mktemp("trace")
    names = {form: str(folder / form) for form in ("html", "perfetto", "json", "text", "csv")}
    outputs = [word for form, name in names.items() for word in ("--" + form, name)]
    done = tool(os.path.join(result.folder, "serial.txt"), *outputs, "--symbols", "l1=" + guest_image("traced") + ".64")
    assert done.returncode == 0 and not done.stderr, done
    return result, {form: open(name, "rb").read() if form == "perfetto" else open(name, encoding="utf-8").read()
                    for form, name in names.items()}


def test_every_exit_is_there(recorded):
    """As many events of each reason and level as Socle counted, but for the VMCALLs that end the recording and ask."""
    result, forms = recorded
    found = {}
    for row in csv.DictReader(forms["csv"].splitlines()):
        key = int(row["level"]), row["reason"]
        count, to_l1 = found.get(key, (0, 0))
        found[key] = count + 1, to_l1 + int(row["to_l1"])
    wanted = counted(result)
    assert wanted.pop((1, "VMCALL")) == (2, 0)
    assert found == wanted, show(result)
    assert found[2, "CPUID"] == (ROUNDS, ROUNDS) and found[1, "INVEPT"][0] >= ROUNDS


def test_the_forms_agree(recorded):
    _, forms = recorded
    rows = list(csv.DictReader(forms["csv"].splitlines()))
    events = json.loads(forms["json"])["traceEvents"]
    cpuids = [one for one in events if one["ph"] == "X" and one["tid"] == 0 and one["name"] == "CPUID"]
    assert len(cpuids) == sum(row["reason"] == "CPUID" and row["entry_tsc"] != "0" for row in rows)
    assert {one["args"]["name"] for one in events if one["ph"] == "M"} == {"CPU 0", "L0 (Socle)", "L1", "L2"}
    assert all(one["dur"] >= 0 and one["ts"] >= 0 for one in events if one["ph"] == "X")
    text = forms["text"].splitlines()
    assert sum(" kvm_exit: " in one for one in text) == len(rows)
    assert sum(" kvm_nested_vmexit: vcpu 0 reason CPUID " in one for one in text) == ROUNDS
    assert sum(" kvm_nested_vmexit_inject: reason: CPUID " in one for one in text) == ROUNDS
    stamps = [one.split()[2].rstrip(":") for one in text[1:]]
    assert stamps == sorted(stamps, key=float)


def wire(data):
    """[(field's number, value)] of a protobuf message: the value of a varint, or the bytes of what has a length."""
    fields, at = [], 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        value = varint()
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        else:
            assert key & 7 == 0, (key, at)
        fields.append((key >> 3, value))
    return fields


def test_perfettos_format(recorded):
    """Read back by the numbers of Perfetto's own fields: the tracks, and slices as the JSON has them."""
    _, forms = recorded
    packets = [dict(wire(packet)) for number, packet in wire(forms["perfetto"]) if number == 1]
    assert len(packets) == len(wire(forms["perfetto"]))
    tracks = [dict(wire(packet[60])) for packet in packets if 60 in packet]
    assert [track[2] for track in tracks] == [b"CPU 0", b"L0 (Socle)", b"L1", b"L2"]
    assert dict(wire(tracks[0][3])) == {1: 1, 6: b"CPU 0"} and all(track[5] == tracks[0][1] for track in tracks[1:])
    found, names, open_ones = [], {track[1]: track[2].decode() for track in tracks}, {}
    for packet in packets:
        if 11 not in packet:
            continue
        event = dict(wire(packet[11]))
        assert packet[10] == 1
        if event[9] == 1:
            assert event[11] not in open_ones
            open_ones[event[11]] = packet[8], event[23].decode(), wire(packet[11])
        else:
            begin, name, fields = open_ones.pop(event[11])
            arguments = {one[10].decode(): one[6].decode() for number, one in ((n, dict(wire(v))) for n, v in fields if n == 4)}
            found.append((names[event[11]], name, begin, packet[8], arguments))
    assert not open_ones
    wanted = [one for one in json.loads(forms["json"])["traceEvents"] if one["ph"] == "X"]
    levels = ["L0 (Socle)", "L1", "L2"]
    assert [(one[0], one[1], one[4]) for one in found] == [(levels[one["tid"]], one["name"], one["args"]) for one in wanted]
    assert all(abs(one[2] - 1000 * other["ts"]) <= 1 and abs(one[3] - one[2] - 1000 * other["dur"]) <= 1.01
               for one, other in zip(found, wanted)) and len(found) > 500


def test_without_protobuf(tmp_path):
    """One line says what is missing, and what does without it."""
    (tmp_path / "google").mkdir()
    (tmp_path / "google" / "__init__.py").write_text("")
    done = subprocess.run(["/usr/bin/python3", TOOL, "-", "--perfetto", str(tmp_path / "out")], input="\n".join(TRIPS),
                          capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2, done
    assert done.stderr == "socle-trace: Perfetto's format needs python3-protobuf; --json does without it\n"


def test_the_page_says_where_the_cost_is(recorded):
    """In a browser: the figures are those of the trace, and the function that docs/debugging.md finds is on top."""
    _, forms = recorded
    path = os.path.join(BUILD, "system", "trace.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(forms["html"])
    done = subprocess.run(["chromium-headless-shell", "--no-sandbox", "--disable-gpu", "--dump-dom", "file://" + path],
                          capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", forms["html"]), "something from the network"
    assert done.stdout.count("<svg") == 5, done.stdout[:2000]
    page = figures(done.stdout)
    cpuids = next(row for row in page["costs"] if row[:2] == ["L2", "CPUID"])
    assert cpuids[2:4] == [str(ROUNDS), str(ROUNDS)]
    trip = next(row for row in page["trips"] if row[0] == "CPUID")
    # INVEPT, six VMWRITEs that are not shadowed, VMRESUME, and VMREADs
    assert trip[1] == str(ROUNDS) and float(trip[2]) >= 8 and "INVEPT 1.00" in trip[6], trip
    # VMRESUME beside them: what each costs is Socle's to change
    assert {"vmwrite", "vmread"} < {row[1] for row in page["places"][1:4]}, page["places"][:4]
    assert ["L1", "forget_translations", str(ROUNDS)] in [row[:3] for row in page["places"]]
    assert ["L1", "VMWRITE", "host_tr_selector"] in [row[:3] for row in page["kinds"][1:13]], page["kinds"]


def test_accesses_are_those_of_their_exit():
    """A Socle that counts: between a question of L1's and the same one again, the events have as many as it executed."""
    result = boot(guest_image("traced"), l1_args="tests=counted trace", options="trace=1M", model="haswell",
                  elf=os.path.join(BUILD, "count", "socle.elf"))
    assert_no_accident(result)
    said, = result.having("counted vmreads=")
    counted_reads, counted_writes = map(int, re.search(r"vmreads=(\d+) vmwrites=(\d+)", said).groups())
    events = read.read(result.lines).cpus[0]
    # the four questions, and the one that ends the recording, which is not in it
    asked = [i for i, event in enumerate(events) if event.level == 1 and read.name(event) == "VMCALL"][-4:]
    for sort, first, last, wanted in (("vmreads", 0, 2, counted_reads), ("vmwrites", 1, 3, counted_writes)):
        found = [getattr(event, sort) for event in events[asked[first]:asked[last]]]
        assert sum(found) == wanted > ROUNDS, (sort, found, wanted)
        # each time the same, and of each kind: that of an exit to L1, that of the entry behind it
        trips = [getattr(event, sort) for event in events[asked[first]:asked[last]] if event.reason in (CPUID, VMRESUME)]
        assert len(set(trips[4:-4:2])) == len(set(trips[5:-4:2])) == 1 and trips[4] != trips[5], trips


def test_it_goes_out_live(tmp_path):
    """On a port of its own, while L1 runs: what came is what was recorded, in order, and nothing is lost unsaid."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    received = []

    def listen():
        while not over.is_set():
            if select.select([ours], [], [], 0.1)[0]:
                received.append(os.read(ours, 65536))

    over = threading.Event()
    thread = threading.Thread(target=listen)
    thread.start()
    iso = image.make_iso(str(tmp_path / "image.iso"), elf=ELF, l1=guest_image("traced"), l1_args="tests=careful trace",
                         options="trace=on trace-port=com2 explain=off")
    result = machine.run_image(iso, folder=str(tmp_path), com2=os.ttyname(theirs), timeout=180, model="haswell", ips=20_000_000)
    over.set()
    thread.join()
    assert_no_accident(result)
    assert result.having("^socle: trace-port: port 2f8, hidden from L1") and result.having("^DONE"), show(result)
    text = b"".join(received).decode("latin-1").replace("\r", "")
    assert text.startswith("trace: form 1 build-id "), text[:200]
    live, kept = read.read(text.split("\n")[:-1]), read.read(result.lines)
    assert not live.skipped and not live.backwards and not live.dropped, (live.skipped, live.backwards, live.dropped)
    events = live.cpus[0]
    assert [event.number for event in events] == list(range(len(events))) and len(events) > 100, len(events)
    recorded = {event.number: event for event in kept.cpus[0]}
    both = [event for event in events if event.number in recorded]
    assert len(both) > 100 and all(recorded[event.number] == event for event in both), len(both)
