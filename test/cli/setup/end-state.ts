// What is to be there after a set-up, however often it was interrupted: read from the stand-in, with nothing left out that could be there twice.
import type { Ground } from "./ground.ts";

const ROUTES = [
  ["www.example.com/*", null],
  ["berth.example.com/*", "berth-control"],
  ["*.apps.example.com/*", "berth-edge"],
  ["*/*", "berth-edge"],
];
const CONTROL_SECRETS = [
  "BETTER_AUTH_SECRET",
  "CREDENTIAL_SIGNING_KEY",
  "DATABASE_URL_APP",
  "DATABASE_URL_AUTH",
  "SECRETS_KEYS",
  "SETUP_TOKEN",
  "TICKET_SIGNING_KEY",
];

export function endState({ account, zone }: Ground) {
  const own = zone.records.filter(({ comment }) => comment === "berth berth");
  return {
    namespaces: account.namespaces.map(({ title }) => title),
    buckets: [...account.buckets.keys()],
    workers: [...account.scripts].map(([name, { secrets, crons, classes, subdomain }]) => ({
      name,
      secrets: [...secrets.keys()].sort(),
      crons,
      classes: classes.length,
      subdomain,
    })),
    records: own.map(({ name, type, content, proxied }) => `${name} ${type} ${content} ${proxied}`),
    routes: zone.routes.map(({ pattern, script }) => [pattern, script]),
    packs: zone.packs.filter(({ type }) => type === "advanced").map(({ hosts }) => hosts),
    fallback: zone.fallbackOrigin,
  };
}

export const expectedEndState = {
  namespaces: ["berth-routes"],
  buckets: ["berth-bundles"],
  workers: [
    { name: "berth-control", secrets: CONTROL_SECRETS, crons: ["* * * * *"], classes: 5, subdomain: false },
    { name: "berth-edge", secrets: ["TICKET_SIGNING_KEY"], crons: [], classes: 0, subdomain: false },
  ],
  records: [
    "*.apps.example.com AAAA 100:: true",
    "berth.example.com AAAA 100:: true",
    "berth-domains.example.com AAAA 100:: true",
  ],
  routes: ROUTES,
  packs: [["example.com", "*.apps.example.com"]],
  fallback: "berth-domains.example.com",
};
