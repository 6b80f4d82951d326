// Who a token is, which accounts and zones it sees, and what an account pays for.
import { done, PAGE, pageOf, type Endpoint } from "./contract.ts";

export const accountEndpoints: Endpoint[] = [
  {
    method: "GET",
    path: "/user/tokens/verify",
    permission: null,
    answer: ({ token }) => done({ id: token.id, status: token.status }),
  },
  {
    method: "GET",
    path: "/accounts",
    permission: null,
    query: [...PAGE, "name"],
    answer({ cloud, token, query }) {
      const seen = cloud.accounts.filter(({ id }) => token.accounts.includes(id));
      return pageOf(
        seen.map(({ id, name }) => ({ id, name, type: "standard" })),
        query,
      );
    },
  },
  {
    method: "GET",
    path: "/accounts/{account}/subscriptions",
    permission: "Billing",
    answer({ account }) {
      return done(
        account.ratePlans.map((id) => ({ id, state: "Paid", rate_plan: { id, scope: "account", currency: "USD" } })),
      );
    },
  },
  {
    method: "GET",
    path: "/zones",
    permission: "Zone",
    query: [...PAGE, "name", "status", "account.id"],
    answer({ cloud, token, query }) {
      const name = query.get("name");
      const seen = cloud.zones.filter((zone) => token.zones.includes(zone.id) && (name === null || zone.name === name));
      return pageOf(
        seen.map(({ id, name: zone, status, accountId }) => ({
          id,
          name: zone,
          status,
          name_servers: ["ada.ns.cloudflare.example", "bob.ns.cloudflare.example"],
          account: { id: accountId, name: cloud.accounts.find((one) => one.id === accountId)?.name ?? "" },
        })),
        query,
      );
    },
  },
];
