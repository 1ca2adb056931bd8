// An OpenID Connect provider (npm's oidc-provider, which is certified) for tests. The first line of the standard input
// is JSON: {jwks, clients, claims: account → claims}; further lines are new key sets, taken over at once. Each is answered
// with one line: the issuer.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

// modules of this kind do not look at NODE_PATH
const find = createRequire(`${process.env.NODE_PATH}/../package.json`);
const { default: Provider } = await import(pathToFileURL(find.resolve("oidc-provider")));

const server = createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;
let given, handler;

function configured(jwks) {
  const provider = new Provider(issuer, {
    jwks,
    clients: given.clients,
    cookies: { keys: ["a secret of the tests"] },
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId, ...given.claims[accountId] }) }),
    claims: { openid: ["sub"], sos: [...new Set(Object.values(given.claims).flatMap(Object.keys))] },
    scopes: ["openid", "sos"],
    // with the scope "sos" the claims are in the token itself, but for clients that ask for what the standard says
    conformIdTokenClaims: false,
    enabledJWA: { idTokenSigningAlgValues: ["RS256", "PS256", "ES256", "EdDSA"] },
    extraTokenClaims: (_, token) => given.claims[token.clientId],
    ttl: { ClientCredentials: 7200, IdToken: 7200, AccessToken: 7200, Interaction: 600, Session: 600, Grant: 600 },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      userinfo: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx) => (ctx.oidc.params?.grant_type === "client_credentials" ? "urn:sos" : undefined),
        getResourceServerInfo: (_, __, client) => ({
          scope: "sos", audience: client.clientId, accessTokenFormat: "jwt", jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
  });
  return provider.callback();
}

server.on("request", (request, reply) => handler(request, reply));
for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  given ??= said;
  handler = configured(said.jwks);
  console.log(issuer);
}
process.exit(0);
