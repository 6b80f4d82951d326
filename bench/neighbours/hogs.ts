// Bad neighbours, each within the limits that any release gets by default: what they do, for as long as they are let.
import { shell } from "../../test/node-agent/agent/world.ts";

const MIB = 1024 * 1024;
/** As contracts/release.ts has them for whoever names none. */
export const DEFAULT_RESOURCES = { cpuMilli: 250, memoryBytes: 256 * MIB, diskBytes: 1024 * MIB, pids: 256 };

/** Its own limit is not what is measured: a core, of which it uses a little. */
export const VICTIM_RESOURCES = { ...DEFAULT_RESOURCES, cpuMilli: 1_000 };

/** The first process only waits: what it began ends for want of processes or memory, and begins anew from what is left. */
const staying = (script: string): string[] => shell(`( ${script} ) >/dev/null 2>&1 & exec /bin/busybox sleep 3600`);

export const HOGS: Readonly<Record<string, readonly string[]>> = {
  "fork bomb": staying("f() { while :; do f & done; }; f"),
  "memory hog": staying("while :; do /bin/busybox tail /dev/zero; done"),
  "cpu hog": staying("for i in 1 2 3 4 5 6 7 8; do ( while :; do :; done ) & done; wait"),
  "disk hog": staying(
    `( while :; do /bin/busybox dd if=/dev/zero of=/spill bs=1M count=400 conv=fsync; done ) &
     while :; do /bin/busybox dd if=/dev/zero of=/drops bs=4k count=2000 oflag=sync; done`,
  ),
  "log flood": shell("exec /bin/busybox yes a line as programs print them when they print too many"),
};

/** GET / answers at once; of the one that stores, once 4 KiB more are on the disk. */
export const VICTIM_JS = `
const { createServer } = require("node:http");
const { open } = require("node:fs/promises");
const stores = process.argv[2] === "stores";
const drop = Buffer.alloc(4096, 1);
(async () => {
  const file = stores ? await open("/tmp/stored", "w") : null;
  createServer(async (request, response) => {
    if (file !== null) { await file.write(drop, 0, drop.length, 0); await file.datasync(); }
    response.end("a".repeat(1024));
  }).listen(Number(process.env.PORT));
})();
`;
