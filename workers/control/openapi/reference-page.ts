// The reference page: the OpenAPI document as one HTML page, made here, with no script and nothing loaded from anywhere.
import { html, raw } from "hono/html";

type Html = ReturnType<typeof html>;
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
}
type Content = Readonly<Record<string, { readonly schema?: Schema }>>;
interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly object[];
  readonly parameters?: readonly {
    name: string;
    in: string;
    required?: boolean;
    description?: string;
    schema?: Schema;
  }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description?: string; readonly content?: Content }>>;
}
export interface ReferenceDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly tags?: readonly { readonly name: string; readonly description?: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: { readonly schemas?: Readonly<Record<string, Schema>> };
}

const STYLE = `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{margin:0 auto;max-width:62rem;padding:1rem}
h2{border-bottom:1px solid #8886;margin-top:3rem}details{border:1px solid #8884;border-radius:.4rem;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}.method{display:inline-block;font-weight:700;min-width:4.5rem}
table{border-collapse:collapse;width:100%}td,th{border-top:1px solid #8884;padding:.25rem .5rem .25rem 0;text-align:left;vertical-align:top}
.quiet{opacity:.7}ul{padding-left:1.2rem}nav a{margin-right:1rem}:target{outline:2px solid #48f}`;

export function referencePage(document: ReferenceDocument): Html {
  const { info, tags = [], components } = document;
  const schemas = Object.entries(components?.schemas ?? {});
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${info.title} API ${info.version}</title>
        <style>
          ${raw(STYLE)}
        </style>
      </head>
      <body>
        <h1>${info.title} API <span class="quiet">${info.version}</span></h1>
        ${(info.description ?? "").split("\n").map((line) => html`<div>${line.replace(/^\* /, "• ")}</div>`)}
        <p><a href="/openapi.json">openapi.json</a> (OpenAPI 3.1)</p>
        <nav>${tags.map(({ name }) => html`<a href="#${anchor(name)}">${name}</a>`)}<a href="#shapes">Shapes</a></nav>
        ${tags.map((tag) => tagSection(document, tag))}
        <h2 id="shapes">Shapes</h2>
        ${schemas.map(([name, schema]) => shape(name, schema))}
      </body>
    </html>`;
}

function tagSection({ paths }: ReferenceDocument, tag: { name: string; description?: string }): Html {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      operation.tags?.includes(tag.name) ? [operationDetails(method.toUpperCase(), path, operation)] : [],
    ),
  );
  return html`<h2 id="${anchor(tag.name)}">${tag.name}</h2>
    <p class="quiet">${tag.description ?? ""}</p>
    ${operations}`;
}

function operationDetails(method: string, path: string, operation: Operation): Html {
  const { operationId = "", summary = "", description, parameters = [], requestBody, responses, security } = operation;
  return html`<details id="${operationId}">
    <summary><span class="method">${method}</span> <code>${path}</code> — ${summary}</summary>
    ${description === undefined ? "" : html`<p>${description}</p>`}
    ${(security ?? []).length === 0 ? html`<p class="quiet">Needs no token.</p>` : ""}
    <table>
      ${parameters.map(
        (each) =>
          html`<tr>
            <td><code>${each.name}</code> <span class="quiet">${each.in}${each.required ? "" : ", optional"}</span></td>
            <td>${typeOf(each.schema ?? {})} ${each.description ?? ""}</td>
          </tr>`,
      )}
      ${
        requestBody === undefined
          ? ""
          : html`<tr>
              <td>body</td>
              <td>${contentOf(requestBody.content)}</td>
            </tr>`
      }
      ${Object.entries(responses).map(
        ([status, { description: said = "", content = {} }]) =>
          html`<tr>
            <td><b>${status}</b></td>
            <td>${contentOf(content)} ${said}</td>
          </tr>`,
      )}
    </table>
  </details>`;
}

const contentOf = (content: Content): Html[] =>
  Object.entries(content).map(([type, { schema }]) =>
    type === "application/json" || type === "application/problem+json"
      ? html`${typeOf(schema ?? {})} `
      : html`<code>${type}</code> `,
  );

function shape(name: string, schema: Schema): Html {
  return html`<details id="shape-${name}">
    <summary><b>${name}</b></summary>
    ${fields(schema)}
  </details>`;
}

function fields(schema: Schema): Html {
  const { properties, required = [], oneOf, anyOf } = schema;
  const variants = oneOf ?? anyOf;
  if (variants !== undefined)
    return html`<p>One of:</p>
      ${variants.map((each) => html`<div>${fields(each)}</div>`)}`;
  if (properties === undefined) return html`<p>${typeOf(schema)}</p>`;
  return html`<table>
    ${Object.entries(properties).map(
      ([name, each]) =>
        html`<tr>
          <td><code>${name}</code> ${required.includes(name) ? "" : html`<span class="quiet">optional</span>`}</td>
          <td>${typeOf(each)} ${each.description ?? ""}</td>
        </tr>`,
    )}
  </table>`;
}

function typeOf(schema: Schema): Html {
  const { $ref, type, enum: values, items, properties, additionalProperties: rest } = schema;
  if ($ref !== undefined) return named($ref.slice($ref.lastIndexOf("/") + 1));
  if (values !== undefined) return html`<code>${values.map((value) => JSON.stringify(value)).join(" | ")}</code>`;
  const variants = schema.oneOf ?? schema.anyOf;
  if (variants !== undefined)
    return html`${variants.map((each, at) => html`${at === 0 ? "" : " or "}${typeOf(each)}`)}`;
  if (items !== undefined) return html`list of ${typeOf(items)}`;
  if (properties !== undefined) return html`object ${fields(schema)}`;
  if (typeof rest === "object") return html`map to ${typeOf(rest)}`;
  const kind = Array.isArray(type) ? type.join(" or ") : (type ?? "any");
  return html`${kind} <span class="quiet">${bounds(schema)}</span>`;
}

const named = (name: string): Html => html`<a href="#shape-${name}">${name}</a>`;

function bounds(schema: Schema): string {
  const said: string[] = [];
  if (schema.minimum !== undefined) said.push(`≥ ${schema.minimum}`);
  if (schema.maximum !== undefined) said.push(`≤ ${schema.maximum}`);
  if (schema.minLength !== undefined) said.push(`at least ${schema.minLength} characters`);
  if (schema.maxLength !== undefined) said.push(`at most ${schema.maxLength} characters`);
  if (schema.pattern !== undefined) said.push(`like ${schema.pattern}`);
  if (schema.default !== undefined) said.push(`default ${JSON.stringify(schema.default)}`);
  return said.join(", ");
}

const anchor = (name: string): string => `tag-${name.toLowerCase().replaceAll(" ", "-")}`;
