// The files of a self-hosted platform as texts: what must stand in them, and what may not.
import { expect, test } from "vitest";
import { renderValue } from "../../self-hosted/build/capnp.ts";
import type { Settings } from "../../self-hosted/install/layout.ts";
import { caddyfile } from "../../self-hosted/install/proxy.ts";
import { companionUnit, platformSocket, platformUnit } from "../../self-hosted/install/units.ts";

const places = { folder: "/opt/100%berth", nodeBinary: "/usr/bin/node" };
const settings: Settings = {
  domain: "apps.example.test",
  apiHost: "berth.example.test",
  region: "main",
  port: 9000,
  postgres: { host: "db.internal", port: 5432, tls: true, authority: "/etc/berth/ca.pem" },
  s3: { endpoint: "https://s3.internal", bucket: "berth-bundles", region: "us-east-1" },
  vars: { control: {}, edge: {} },
};

test("the companion trusts the operator's own authority of Postgres, where TLS is asked for", () => {
  expect(companionUnit(places, settings)).toContain("Environment=NODE_EXTRA_CA_CERTS=/etc/berth/ca.pem\n");
  expect(companionUnit(places, settings)).toContain("BERTH_POSTGRES_TLS=verify");
  const plain = companionUnit(places, { ...settings, postgres: { ...settings.postgres, tls: false } });
  expect(plain).not.toContain("NODE_EXTRA_CA_CERTS");
  expect(plain).toContain("BERTH_POSTGRES_TLS=off");
});

test("sockets are passed to workerd in the order in which systemd listens", () => {
  const listened = [...platformSocket(settings).matchAll(/^ListenStream=(.*)$/gm)].map(([, address]) => address);
  expect(listened).toEqual(["127.0.0.1:9000", "127.0.0.1:9001", "127.0.0.1:9002"]);
  expect(platformUnit(places)).toContain("--socket-fd=control=3 --socket-fd=edge=4 --socket-fd=clock=5");
});

test("however often workerd falls, systemd starts it again; a % in a path is no specifier", () => {
  expect(platformUnit(places)).toContain("StartLimitIntervalSec=0");
  expect(platformUnit(places)).toContain("ExecStart=/opt/100%%berth/bin/workerd serve /opt/100%%berth/berth.capnp");
});

test("the proxy replaces what a visitor says of its address, and never reaches clock or adapter", () => {
  const written = caddyfile(settings);
  expect(written.match(/header_up Cf-Connecting-Ip \{remote_host\}/g)).toHaveLength(2);
  expect(written.match(/127\.0\.0\.1:\d+/g)).toEqual(["127.0.0.1:9000", "127.0.0.1:9001"]);
});

test("a text ends no string of the configuration", () => {
  expect(renderValue({ text: 'a"b\\c' })).toBe('(text = "a\\"b\\\\c")');
  expect(() => renderValue("a\nb")).toThrow("control character");
});
