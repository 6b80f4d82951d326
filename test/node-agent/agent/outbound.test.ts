// What a node asks because a tenant named it: dialled where it was judged, however the name answers the next time; registries and the
// places that they send to for tokens.
import { createServer, type RequestListener, type Server } from "node:http";
import type { LookupAddress } from "node:dns";
import { createServer as createTlsServer } from "node:https";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterEach, expect, test } from "vitest";
import { readExceptions, type Exception } from "../../../core/outbound/exceptions.ts";
import { type LookUp, pinnedRequest } from "../../../node-agent/agent/outbound/pinned-request.ts";
import { makeAuthority } from "../pki.ts";
import { RegistryDoor } from "../../../node-agent/agent/outbound/registry-door.ts";

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});

async function serve(answer: RequestListener): Promise<number> {
  const server = createServer(answer);
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

function opened(list: string): readonly Exception[] {
  const read = readExceptions(list);
  if (read.kind === "refused") throw new Error(read.message);
  return read.exceptions;
}

/** Answers the addresses in turn, the last one for ever; counts how often it was asked. */
function turning(...turns: readonly string[][]): { readonly lookUp: LookUp; asked: () => number } {
  let asked = 0;
  const lookUp: LookUp = (_host, done) => {
    const addresses = turns[Math.min(asked, turns.length - 1)] ?? [];
    asked += 1;
    done(
      null,
      addresses.map((address): LookupAddress => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  };
  return { lookUp, asked: () => asked };
}

test("the address that was judged is the one that is dialled: the name is looked up once, and a later answer is not heard", async () => {
  let visits = 0;
  const port = await serve((_request, response) => {
    visits += 1;
    response.end("reached");
  });
  const rules = { exceptions: opened("127.0.0.1"), plainHttp: true };
  const { lookUp, asked } = turning(["127.0.0.1"], ["127.0.0.2"]);
  const url = `http://rebinding.example.com:${port}/`;
  const answer = await pinnedRequest(url, { rules, timeoutMs: 5_000, lookUp });
  expect(await text(answer.body)).toBe("reached");
  expect(asked()).toBe(1);
  // The same name now leads elsewhere, and is judged anew before a byte is sent.
  await expect(pinnedRequest(url, { rules, timeoutMs: 5_000, lookUp })).rejects.toThrow(
    /leads to 127\.0\.0\.2, which is this host's loopback/,
  );
  expect(visits).toBe(1);
});

test("a name with one closed address among public ones is dialled at neither", async () => {
  const rules = { exceptions: [], plainHttp: true };
  const { lookUp } = turning(["93.184.215.14", "169.254.169.254"]);
  await expect(pinnedRequest("http://mixed.example.com/", { rules, timeoutMs: 5_000, lookUp })).rejects.toThrow(
    /leads to 169\.254\.169\.254, which is link-local/,
  );
});

test("a redirect is an answer, and is not followed", async () => {
  const port = await serve((_request, response) => {
    response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" }).end();
  });
  const rules = { exceptions: opened("127.0.0.1") };
  const answer = await pinnedRequest(`http://127.0.0.1:${port}/`, { rules, timeoutMs: 5_000 });
  expect(answer.statusCode).toBe(302);
  await answer.body.dump();
});

test.each([
  ["127.0.0.1:5000", /loopback/],
  ["169.254.169.254", /link-local/],
  ["[::1]:5000", /loopback/],
  ["localhost:5000", /one label/],
  ["registry.internal", /below \.internal/],
])("a registry at %s is refused, and the Engine never hears of it", async (registry, why) => {
  expect(await new RegistryDoor({ exceptions: [] }).refusal(registry)).toMatch(why);
});

test("a registry whose name leads to a private network is refused, and admitted where the operator opened it", async () => {
  const { lookUp } = turning(["10.1.2.3"]);
  const closed = new RegistryDoor({ exceptions: [], lookUp });
  expect(await closed.refusal("registry.example.com")).toMatch(/leads to 10\.1\.2\.3, which is a private network's/);
  const { lookUp: never, asked } = turning(["10.1.2.3"]);
  const open = new RegistryDoor({ exceptions: opened("registry.example.com"), lookUp: never });
  expect(await open.refusal("registry.example.com")).toBeNull();
  expect(asked()).toBe(0);
});

test("a registry that sends for tokens to a metadata service is refused, and one that sends to the internet is not", async () => {
  const authority = await makeAuthority();
  setDefaultCACertificates([...getCACertificates(), authority.ca]);
  const names = ["sly.example.com", "honest.example.com"];
  let realm = "";
  const server = createTlsServer(await authority.issue({ names }), (_request, response) => {
    response.writeHead(401, { "www-authenticate": `Bearer realm="${realm}",service="registry"` }).end();
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const lookUp: LookUp = (host, done) =>
    done(null, [{ address: names.includes(host) ? "127.0.0.1" : "93.184.215.14", family: 4 }]);
  const door = new RegistryDoor({ exceptions: opened("127.0.0.1"), lookUp });
  realm = "https://169.254.169.254/latest/token";
  expect(await door.refusal(`sly.example.com:${port}`)).toMatch(/link-local/);
  realm = "https://auth.example.com/token";
  expect(await door.refusal(`honest.example.com:${port}`)).toBeNull();
});

test("a registry that nobody can reach is the Engine's to tell of, and is not asked again at once", async () => {
  let asked = 0;
  const lookUp: LookUp = (_host, done) => {
    asked += 1;
    done(new Error("getaddrinfo ENOTFOUND"), []);
  };
  const door = new RegistryDoor({ exceptions: [], lookUp });
  expect(await door.refusal("gone.example.com")).toBeNull();
  expect(await door.refusal("gone.example.com")).toBeNull();
  expect(asked).toBe(1);
  expect(await door.refusal("docker.io")).toBeNull();
});
