"""Model of the Python original of binary-file: one record, one write and one flush at a time, rollover by rename.

    binary_logger.py <file> <records> <bytes per payload> <first id> <max bytes>
"""
import json
import os
import resource
import struct
import sys
import time


class BinaryLogger:
    def __init__(self, path, max_bytes):
        self.path, self.max_bytes, self.number = path, max_bytes, 0
        self.file = open(path, "ab")

    def write(self, text):
        payload = text.encode("utf-8")
        self.file.write(struct.pack(">I", len(payload)))
        self.file.write(payload)
        self.file.flush()
        if self.file.tell() >= self.max_bytes:
            self.file.close()
            stem, extension = os.path.splitext(self.path)
            os.rename(self.path, f"{stem}.{self.number}{extension}")
            self.number += 1
            self.file = open(self.path, "ab")


def main():
    path, records, size, first, max_bytes = sys.argv[1], *map(int, sys.argv[2:6])
    texts = [f"id={first + number} an event ".ljust(size - 1, ".") + "\n" for number in range(records)]
    logger = BinaryLogger(path, max_bytes)
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    for text in texts:
        logger.write(text)
    logger.file.close()
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"records": records, "seconds": seconds, "cpuSeconds": cpu, "peakBytes": after.ru_maxrss * 1024}))


main()
