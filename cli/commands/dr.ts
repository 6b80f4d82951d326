// dr ingress: the DNS change that leads visitors to the racks while Cloudflare is away; printed, and made where a token is given.
import { isIP } from "node:net";
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import pc from "picocolors";
import { dnsProvider, type Replaced } from "../dr/dns-provider.ts";
import { type Change, changesFor, lookAt, type Looked } from "../dr/records.ts";
import { CommandFailure, EXIT } from "../failure.ts";
import { wholeNumber } from "../whole-number.ts";
import { contextOf } from "./run.ts";

const CLOUDFLARE_API = "https://api.cloudflare.com/client/v4";
/** Short, for the way there and back; resolvers keep what they have for as long as the record before said. */
const TTL_SECONDS = 60;

export function drCommand() {
  return new Command("dr").description("what to do when Cloudflare is away").addCommand(ingressCommand() as never);
}

const addresses = (value: string, before: string[]): string[] => {
  if (isIP(value) === 0) throw new InvalidArgumentError("must be an IPv4 or IPv6 address");
  return [...before, value];
};
const collected = (value: string, before: string[]): string[] => [...before, value.toLowerCase()];

function ingressCommand() {
  return new Command("ingress")
    .description("point DNS at the racks: prints the change, and with a DNS token makes it")
    .requiredOption("--address <ip>", "of a node with an ingress; may be repeated", addresses, [])
    .option("--name <hostname>", "a name to move, beside the platform's own; may be repeated", collected, [])
    .option("--plain-port <port>", "where the ingresses serve plain HTTP", wholeNumber, 80)
    .option("--ttl <seconds>", "of the records", wholeNumber, TTL_SECONDS)
    .option("--zone <name>", "the DNS zone that the names are in; without: the platform's domain")
    .addOption(
      new Option("--dns <provider>", "who serves the zone")
        .choices(["cloudflare", "powerdns"] as const)
        .default("cloudflare" as const),
    ) // prettier-ignore
    .addOption(new Option("--dns-token <token>", "makes the change").env("BERTH_DNS_TOKEN"))
    .option("--dns-url <url>", "the provider's API, where it is not Cloudflare's own")
    .action(async (options, command) => {
      const { out } = contextOf(command);
      const looked = await Promise.all(options.address.map((address) => lookAt(address, options.plainPort)));
      const good = looked.filter(({ told }) => told !== null);
      if (good.length === 0) throw noIngress(looked);
      const base = good.map(({ told }) => told?.baseDomain).find((name) => typeof name === "string") ?? null;
      const names = [...(base === null ? [] : [`*.${base}`]), ...options.name];
      if (names.length === 0) {
        throw new CommandFailure("the ingresses do not say below which domain apps are", EXIT.usage, "Give --name.");
      }
      const changes = changesFor(
        names,
        good.map(({ address }) => address),
        options.ttl,
      );
      const made = options.dnsToken === undefined ? null : await make(options, options.dnsToken, base, changes);
      out.result({ ingresses: looked, changes, made: made !== null, before: made ?? [] }, () => {
        for (const one of looked) out.line(textOf(one));
        out.line();
        out.table(["NAME", "TYPE", "TTL", "VALUE"], changes.flatMap(rowsOf));
        out.line(made === null ? BY_HAND : pc.green("✓ the records are changed"));
        if (made !== null && made.length > 0) {
          out.line("To go back, put these in their place again:");
          out.table(
            ["NAME", "TYPE", "VALUE"],
            made.map(({ name, type, content }) => [name, type, content]),
          );
        }
      });
    });
}

const BY_HAND = "Replace A, AAAA and CNAME records of these names by these, not proxied; or give --dns-token.";

interface Wish {
  readonly dns: "cloudflare" | "powerdns";
  readonly dnsUrl?: string | undefined;
  readonly zone?: string | undefined;
}

function make(
  { dns: kind, dnsUrl, zone }: Wish,
  token: string,
  base: string | null,
  changes: readonly Change[],
): Promise<Replaced[]> {
  const url = dnsUrl ?? (kind === "cloudflare" ? CLOUDFLARE_API : null);
  if (url === null) throw new CommandFailure("--dns powerdns needs --dns-url", EXIT.usage);
  const named = zone ?? base;
  if (named === null) throw new CommandFailure("which zone are the names in?", EXIT.usage, "Give --zone.");
  return dnsProvider({ kind, token, url: url.replace(/\/$/, ""), zone: named }).replace(changes);
}

function noIngress(looked: readonly Looked[]): CommandFailure {
  const said = looked.map(({ address, why }) => `${address}: ${why}`).join("; ");
  const hint = "An ingress is an agent that runs with --ingress 443,80; docs/OPERATING.md has the whole of it.";
  return new CommandFailure(`no ingress answers (${said})`, EXIT.unreachable, hint);
}

function textOf({ address, told, why }: Looked): string {
  if (told === null) return `${pc.red("✗")} ${address}: ${why}; it is left out`;
  const age = Math.max(0, Math.round((Date.now() - told.atMs) / 1_000));
  return `${pc.green("✓")} ${address}: region ${told.region}, ${told.apps} apps, snapshot ${told.version}, last changed ${age} s ago`;
}

const rowsOf = ({ name, type, values, ttlSeconds }: Change): string[][] =>
  values.map((value) => [name, type, String(ttlSeconds), value]);
