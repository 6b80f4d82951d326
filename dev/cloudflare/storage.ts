// KV namespaces and R2 buckets of an account.
import { z } from "zod";
import { newId } from "./account.ts";
import { done, PAGE, pageOf, Refused, type Call, type Endpoint } from "./contract.ts";

const KV = "/accounts/{account}/storage/kv/namespaces";
const R2 = "/accounts/{account}/r2/buckets";
const KvCreate = z.strictObject({ title: z.string().min(1).max(512) });
const BucketCreate = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{1,62}$/),
  locationHint: z.enum(["apac", "eeur", "enam", "weur", "wnam", "oc"]).optional(),
  storageClass: z.enum(["Standard", "InfrequentAccess"]).optional(),
});

export const storageEndpoints: Endpoint[] = [
  {
    method: "GET",
    path: KV,
    permission: "Workers KV Storage",
    query: [...PAGE, "order", "direction"],
    answer: ({ account, query }) => pageOf(account.namespaces, query),
  },
  {
    method: "POST",
    path: KV,
    permission: "Workers KV Storage",
    body: KvCreate,
    answer({ account, body, cloud }) {
      const { title } = body as z.infer<typeof KvCreate>;
      if (account.namespaces.some((one) => one.title === title))
        throw new Refused(400, 10014, "a namespace with this account ID and title already exists");
      const made = { id: newId(cloud), title };
      account.namespaces.push(made);
      return done({ ...made, supports_url_encoding: true });
    },
  },
  {
    method: "DELETE",
    path: `${KV}/{namespace}`,
    permission: "Workers KV Storage",
    answer({ account, params }) {
      const index = account.namespaces.findIndex(({ id }) => id === params.namespace);
      if (index < 0) throw new Refused(404, 10013, "namespace not found");
      account.namespaces.splice(index, 1);
      return done(null);
    },
  },
  {
    method: "GET",
    path: R2,
    permission: "Workers R2 Storage",
    query: ["cursor", "per_page", "name_contains", "order", "direction", "start_after"],
    answer: ({ account }) => done({ buckets: [...account.buckets.keys()].map((name) => ({ name })) }),
  },
  {
    method: "GET",
    path: `${R2}/{bucket}`,
    permission: "Workers R2 Storage",
    answer: (call) => (bucketOf(call), done({ name: call.params.bucket })),
  },
  {
    method: "POST",
    path: R2,
    permission: "Workers R2 Storage",
    body: BucketCreate,
    answer({ account, body }) {
      const { name } = body as z.infer<typeof BucketCreate>;
      if (account.buckets.has(name))
        throw new Refused(409, 10004, "The bucket you tried to create already exists, and you own it.");
      account.buckets.set(name, new Set());
      return done({ name, location: "WEUR", storage_class: "Standard" });
    },
  },
  {
    method: "DELETE",
    path: `${R2}/{bucket}`,
    permission: "Workers R2 Storage",
    answer(call) {
      if (bucketOf(call).size > 0)
        throw new Refused(409, 10008, "The bucket you tried to delete (bucket) is not empty.");
      call.account.buckets.delete(call.params.bucket ?? "");
      return done({});
    },
  },
  {
    method: "GET",
    path: `${R2}/{bucket}/objects`,
    permission: "Workers R2 Storage",
    query: ["cursor", "per_page", "prefix", "delimiter", "start_after"],
    answer(call) {
      const perPage = Number(call.query.get("per_page") ?? 20);
      return done([...bucketOf(call)].slice(0, perPage).map((key) => ({ key, size: 1 })));
    },
  },
  {
    method: "DELETE",
    path: `${R2}/{bucket}/objects/{object...}`,
    permission: "Workers R2 Storage",
    answer(call) {
      bucketOf(call).delete(call.params.object ?? "");
      return done({ key: call.params.object });
    },
  },
];

function bucketOf({ account, params }: Call): Set<string> {
  const found = account.buckets.get(params.bucket ?? "");
  if (found === undefined) throw new Refused(404, 10006, "The specified bucket does not exist.");
  return found;
}
