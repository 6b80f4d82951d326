// A certificate that is given by files: what is refused at a start, what is taken up later, and what the command line says of it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { refuseUnfit } from "../../../node-agent/agent/certificate/given-files.ts";
import { isPublic, publicAddresses } from "../../../node-agent/agent/certificate/public-addresses.ts";
import { readCommand } from "../../../node-agent/agent/options.ts";
import { makeWorld, until, type World } from "../agent/world.ts";
import { makeAuthority, type Authority, type Issued } from "../pki.ts";

const dir = mkdtempSync(join(tmpdir(), "berth-given-"));
const [certFile, keyFile] = [join(dir, "cert.pem"), join(dir, "key.pem")];
const files = { cert: certFile, key: keyFile };
const HOUR_MS = 3_600_000;
let authority: Authority;

const write = ({ cert, key }: Partial<Issued>): void => {
  if (cert !== undefined) writeFileSync(certFile, cert);
  if (key !== undefined) writeFileSync(keyFile, key);
};
beforeAll(async () => {
  authority = await makeAuthority();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("a start with a given certificate", () => {
  const refusal = () => refuseUnfit(files, "n1.example.test", Date.now());

  it("is refused where it has expired, with the dates", async () => {
    const past = { notBeforeMs: Date.now() - 48 * HOUR_MS, notAfterMs: Date.now() - 24 * HOUR_MS };
    write(await authority.issue({ names: ["n1.example.test"], ...past }));
    await expect(refusal()).rejects.toThrow(
      /cert\.pem has expired: it is valid from 20\S+Z to 20\S+Z, and now it is 20/,
    );
  });

  it("is refused where it is for another name than the edge comes by", async () => {
    write(await authority.issue({ names: ["n2.example.test"] }));
    await expect(refusal()).rejects.toThrow(/is not for n1\.example\.test \(--gateway-url\): it is for DNS:n2/);
  });

  it("is refused where certificate and key are no pair, or are none, or are not there", async () => {
    const one = await authority.issue({ names: ["*.example.test"] });
    write(one);
    await expect(refusal()).resolves.toBeUndefined();
    write({ key: (await authority.issue({ names: ["n1.example.test"] })).key });
    await expect(refusal()).rejects.toThrow(/key\.pem is not the key of the certificate in .*cert\.pem/);
    write({ key: "nothing" });
    await expect(refusal()).rejects.toThrow(/key\.pem holds no private key in PEM/);
    write({ cert: "nothing", key: one.key });
    await expect(refusal()).rejects.toThrow(/cert\.pem holds no certificate in PEM/);
    rmSync(keyFile);
    await expect(refusal()).rejects.toThrow(/--tls-key: .*key\.pem cannot be read \(ENOENT\)/);
  });
});

describe("the command line", () => {
  const read = (...more: string[]) => {
    const command = readCommand(["run", "--dir", "d", "--control", "http://c.example", "--name", "n", ...more], {});
    if (command.kind !== "run") throw new Error("no run");
    return command.options;
  };
  const pair = ["--tls-cert", certFile, "--tls-key", keyFile];

  it("leaves names to the operator on a loopback, or with --gateway-url; else the node asks for its own", () => {
    expect(read()).toMatchObject({ naming: { kind: "operator" }, gatewayUrl: "http://127.0.0.1:7070", tls: null });
    expect(read("--gateway-host", "::").naming).toEqual({ kind: "own", addresses: null });
    expect(read("--gateway-host", "::", "--gateway-url", "https://n.example").naming.kind).toBe("operator");
    const own = read("--public-address", "192.0.2.1", "--public-address", "2001:db8::1").naming;
    expect(own).toEqual({ kind: "own", addresses: ["192.0.2.1", "2001:db8::1"] });
  });

  it.each([
    [["--tls-cert", "c.pem"], /--tls-cert and --tls-key are given together/],
    [["--gateway-url", "http://n.example", ...pair], /--gateway-url: must be https with --tls-cert/],
    [["--public-address", "n.example"], /--public-address.*must be an IPv4 or IPv6 address/],
    [
      ["--public-address", "192.0.2.1", "--gateway-url", "https://n.example"],
      /--public-address: is for the node's own name/,
    ],
    [["--acme-email", "nobody"], /--acme-email: must be an email address/],
  ])("refuses %j", (flags, message) => {
    expect(() => read(...flags)).toThrow(message);
  });
});

describe("a host's own addresses", () => {
  const row = (address: string, internal = false) => ({
    address,
    internal,
    family: address.includes(":") ? "IPv6" : "IPv4",
  });
  const interfaces = {
    lo: [row("127.0.0.1", true)],
    eth0: [row("198.41.0.4"), row("10.0.0.4"), row("2a01:4f8::4"), row("fe80::1"), row("fd00::1")],
    docker0: [row("172.17.0.1")],
  } as never;

  it("are the public ones that its gateway listens on", () => {
    expect(publicAddresses("::", interfaces)).toEqual(["198.41.0.4", "2a01:4f8::4"]);
    expect(publicAddresses("0.0.0.0", interfaces)).toEqual(["198.41.0.4"]);
    expect(publicAddresses("2a01:4f8::4", interfaces)).toEqual(["2a01:4f8::4"]);
    expect(publicAddresses("10.0.0.4", interfaces)).toEqual([]);
  });

  it.each([
    "100.64.1.1",
    "169.254.169.254",
    "192.168.1.1",
    "203.0.113.9",
    "255.255.255.255",
    "::1",
    "2001:db8::1",
    "x",
  ])("never hold %s for public", (address) => expect(isPublic(address)).toBe(false));
});

describe("an agent with a given certificate", () => {
  let world: World;
  const shown = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const at = { host: "127.0.0.1", port: world.gatewayPort, servername: "n1.example.test", ca: authority.ca };
      request({ ...at, agent: false, path: "/.berth/health" }, (answer) => {
        resolve((answer.resume().socket as TLSSocket).getPeerCertificate().serialNumber);
      })
        .on("error", reject)
        .end();
    });
  const beat = () => world.peer.beats.at(-1)?.request;
  const condition = (kind: string) => beat()?.conditions.find((one) => one.kind === kind)?.message ?? "";
  const start = (port = world.gatewayPort) =>
    world.startAgent({ args: [...["--tls-cert", certFile, "--tls-key", keyFile], "--gateway-url", `https://n1.example.test:${port}`] }); // prettier-ignore

  beforeAll(async () => {
    const tuning = { heartbeatMs: 200, heartbeatJitterMs: 10, certificateLookMs: 50 };
    world = await makeWorld("process", tuning, false);
  });
  afterAll(() => world.close());

  it("does not start with one that has expired", async () => {
    write(await authority.issue({ names: ["n1.example.test"], notAfterMs: Date.now() - 60_000 }));
    await start();
    const exitCode = await new Promise((resolve) => world.agent.once("exit", resolve));
    expect(exitCode).toBe(1);
    expect(readFileSync(world.logFile, "utf8")).toMatch(/berth agent: the certificate in .* has expired/);
  });

  it("shows it from the first connection on, and the next one once both files were replaced", async () => {
    write(await authority.issue({ names: ["n1.example.test"] }));
    await start();
    await until("the gateway is ready", () => beat()?.gatewayReady === true);
    const before = await shown();
    const next = await authority.issue({ names: ["n1.example.test"] });
    write({ cert: next.cert });
    await until("its refusal", () => readFileSync(world.logFile, "utf8").includes("they must be one pair"));
    expect(await shown()).toBe(before);
    expect(beat()?.gatewayReady).toBe(true);
    write({ key: next.key });
    await until("the next one is shown", async () => (await shown()) !== before);
  });

  it("alarms while a quarter or less of its life is left, and says what to do", async () => {
    const dates = { notBeforeMs: Date.now() - 3 * HOUR_MS, notAfterMs: Date.now() + HOUR_MS / 2 };
    write(await authority.issue({ names: ["n1.example.test"], ...dates }));
    await until("the alarm", () => condition("certificate_expiring").includes("give a newer one in the same files"));
    expect(beat()?.gatewayReady).toBe(true);
    write(await authority.issue({ names: ["n1.example.test"] }));
    await until("its end", () => condition("certificate_expiring") === "");
  });

  it("says that one is not valid yet, by the control plane's clock", async () => {
    const dates = { notBeforeMs: Date.now() + HOUR_MS, notAfterMs: Date.now() + 2 * HOUR_MS };
    write(await authority.issue({ names: ["n1.example.test"], ...dates }));
    await until("the alarm", () => /valid only from .* on; by the control plane's clock/.test(condition("certificate_expiring"))); // prettier-ignore
    write(await authority.issue({ names: ["n1.example.test"] }));
    await until("its end", () => condition("certificate_expiring") === "");
  });

  it("tells of its clock when the control plane's is another", async () => {
    expect(condition("clock_wrong")).toBe("");
    world.peer.clockOffsetMs = 120_000;
    await until("the alarm", () => /120 s behind the control plane's/.test(condition("clock_wrong")));
    world.peer.clockOffsetMs = 0;
    await until("its end", () => condition("clock_wrong") === "");
  });
});
