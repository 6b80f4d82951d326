// Servers that are not as one would wish: each is told what is wrong with it and what to type, before anything is changed.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../e2e/support.ts";
import type { BareSystem } from "./bare-system.ts";
import { Installation } from "./installation.ts";

let here: Installation;
let server: BareSystem;

beforeAll(async () => {
  here = await Installation.create();
  server = await here.network.boot();
}, 400_000);
afterAll(() => here?.end());

/** What a refused installation must not have left. */
const changed = async (): Promise<string> =>
  (
    await server.sh(
      "ls -d /usr/local/lib/berth /etc/berth /var/lib/berth /etc/systemd/system/berth-agent.service 2>/dev/null",
    )
  ).out;

describe("before anything is changed", () => {
  test("a disk with too little room is named, with what is free", async () => {
    await server.sh("mount -t tmpfs -o size=100m none /var/lib");
    const ran = await here.install(server, "--token t");
    await server.sh("umount /var/lib");
    expect(ran.out).toMatch(/too little disk: \/var\/lib has (99|100) MB free, 2048 MB are needed/);
    expect(ran.code).toBe(1);
    expect(await changed()).toBe("");
  });

  test.each([
    ["behind", 7_200_000],
    ["ahead", -7_200_000],
  ])("a clock two hours %s is told by how much, and how to set it", async (_, offMs) => {
    const theirs = await here.network.serve((_request, response) => {
      response.setHeader("date", new Date(Date.now() + offMs).toUTCString());
      response.end("{}");
    });
    const ran = await here.install(server, `--token t --control ${theirs}`);
    expect(ran.out).toMatch(offMs > 0 ? /clock is -7(199|200|201) s off/ : /clock is 7(199|200|201) s off/);
    expect(ran.out).toContain("timedatectl set-ntp true");
    expect(ran.code).toBe(1);
    expect(await changed()).toBe("");
  });

  test("a port where nobody listens, and a firewall that drops 443 without a word, are both named by their port", async () => {
    const closed = await here.install(server, `--token t --control http://${here.network.gateway}:9`);
    expect(closed.out).toMatch(/port 9 out is blocked/);
    await server.drop(["-p", "tcp", "--dport", "443"]);
    const dropped = await here.install(server, `--token t --control https://${here.network.gateway}`);
    expect(dropped.out).toMatch(/port 443 out is blocked: .* does not answer there/);
    expect(dropped.out).toContain("Allow outgoing TCP to");
    expect([closed.code, dropped.code]).toEqual([1, 1]);
    expect(await changed()).toBe("");
  });
});

describe("a server with nothing but IPv6", () => {
  let six: BareSystem;
  beforeAll(async () => {
    six = await here.network.boot();
    await six.sh(`ip -4 addr flush dev eth0; ip -6 route add default via ${here.network.gateway6}`);
  });

  test("is told so where the control plane has IPv4 alone", async () => {
    const script = (await server.sh(`curl -fsSL ${here.control}/install`)).out;
    const ran = await six.sh("sh -s -- --token t", script);
    expect(ran.out).toMatch(/this server has only IPv6, and .* may have only IPv4/);
    expect(ran.out).toContain("NAT64");
    expect(ran.code).toBe(1);
  });

  test("joins where the control plane has IPv6 too, and the edge is given its IPv6 address", async () => {
    const [control, mirror] = await Promise.all(
      [here.control, here.nodeUrl].map((url) => here.network.forward(url, here.network.gateway6)),
    );
    const options = `--token ${await here.token()} --name six --control ${control} --runtime process --node-url ${mirror}/dist`;
    const ran = await six.sh(`curl -fsSL ${control}/install | sh -s -- ${options}`);
    expect(ran, ran.out).toMatchObject({ code: 0 });
    expect(ran.out).toContain("this server has only IPv6: images come only from registries that have it too");
    const found = await eventually(
      () => here.nodes(),
      (all) => all.some(({ name, phase }) => name === "six" && phase === "ready"),
    );
    expect(found.find(({ name }) => name === "six")?.gatewayUrl).toMatch(/^http:\/\/\[fd00:[0-9a-f:]+\]:7070$/);
  }, 90_000);
});
