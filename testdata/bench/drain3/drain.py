"""Groups log lines with Drain3, under the masks of package logdiff.

Reads a file of lines "service<TAB>text<TAB>JSON<TAB>logfmt<TAB>plain", of which the last
three are one line in the forms in which it may arrive, and prints the cluster of each
line, after the seconds of processor that masking and mining took, and those that it took
to read time, level, message and trace id out of the lines of each form. Reading the file
and printing are not timed.
"""

import json
import re
import sys
import time

from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

WORD = r"A-Za-z0-9"
MASKS = [
    r"(?:\n(?:[ \t]+at [^\n]*|at [^\n]*\([^\n]*|[ \t]*\.\.\. [^\n]*|[ \t]+File \"[^\n]*|[ \t]+\^[^\n]*|    [^\n]*|\t+/[^\n]*))+",
    r"<redacted(?::[a-z]+)?>",
    r"(?<![%s])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![%s])" % (WORD, WORD),
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    r"(?<![%s])(?=[A-Za-z]*[0-9])[0-9a-fA-F]{6,}(?![%s])" % (WORD, WORD),
    r"(?<![%s])[0-9][%s]*" % (WORD, WORD),
    r"(?<![%s])[A-Za-z][0-9]+(?![%s])" % (WORD, WORD),
    r"(?<![%s])[A-Za-z]+[0-9]+[A-Za-z]+[0-9]+[A-Za-z]+[%s]*" % (WORD, WORD),
    r"[0-9]+",
    r"(?:(?<=[ =(\[:,])|^)[-+]<\*>",
    r"<\*>(?:(?:, |[.:\-/,+_])?<\*>)+",
]

FRONT = re.compile(r"(\d\d:\d\d:\d\d\.\d{3}) (\w+) +(?:(.*)TraceID: ([0-9a-f]{32}))?")
TRACE = re.compile(r"TraceID: ([0-9a-f]{32})")
PAIR = re.compile(r'([A-Za-z_.]+)=("(?:[^"\\]|\\.)*"|\S*)')


def read_json(line):
    return FRONT.match(json.loads(line)["log"]).groups()


def read_logfmt(line):
    pairs = dict(PAIR.findall(line))
    message = json.loads(pairs["msg"])
    found = TRACE.search(message)
    return pairs["time"], pairs["level"], message, found and found[1]


def read_plain(line):
    return FRONT.match(line, 11).groups()


def miner(similarity):
    config = TemplateMinerConfig()
    config.drain_sim_th = similarity
    config.drain_depth = 4
    config.drain_max_children = 100
    config.masking_instructions = [MaskingInstruction(m, "*") for m in MASKS]
    config.mask_prefix, config.mask_suffix = "<", ">"
    return TemplateMiner(config=config)


def main():
    similarity = float(sys.argv[1])
    with open(sys.argv[2], encoding="utf-8", newline="\n") as f:
        lines = [line.rstrip("\n").split("\t") for line in f]
    miners = {service: miner(similarity) for service, *_ in lines}
    out = []
    start = time.process_time()
    for service, text, *_ in lines:
        out.append(miners[service].add_log_message(text)["cluster_id"])
    print(time.process_time() - start)
    for form, read in enumerate([read_json, read_logfmt, read_plain], 2):
        start = time.process_time()
        for line in lines:
            read(line[form])
        print(time.process_time() - start)
    for (service, *_), cluster in zip(lines, out):
        print(service, cluster)


if __name__ == "__main__":
    main()
