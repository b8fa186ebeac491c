// A server that proves on request, one proof at a time, for as long as it is left to:
//
//     node --require rotor-wasm/register server.mjs 8080
//     curl localhost:8080/prove/3         {"publicInput":["9"],…}
//     curl localhost:8080/metrics         Prometheus text, if rotor-wasm is there
import http from 'node:http';
import { Field, verify } from 'o1js';
import { square } from './square.mjs';

const { verificationKey } = await square.compile();
const rotor = await import('rotor-wasm').catch(() => undefined);

// Requests wait for each other: o1js runs them on one thread anyway, and a guest is rotated between two of them.
let last = Promise.resolve();
const inTurn = (work) => {
  const result = last.then(work);
  last = result.catch(() => {});
  return result;
};

const server = http.createServer(async (request, response) => {
  const number = /^\/prove\/(\d{1,18})$/.exec(request.url ?? '')?.[1];
  try {
    if (request.url === '/metrics' && rotor) {
      response.setHeader('content-type', 'text/plain; version=0.0.4').end(rotor.prometheus());
    } else if (number) {
      const root = Field(BigInt(number));
      const json = await inTurn(async () => {
        const { proof } = await square.square(root.mul(root), root);
        if (!(await verify(proof, verificationKey))) throw new Error('the proof does not verify');
        return proof.toJSON();
      });
      response.setHeader('content-type', 'application/json').end(JSON.stringify(json));
    } else {
      response.writeHead(404).end();
    }
  } catch (error) {
    // A guest that trapped is restored: the client asks again.
    response.writeHead(503).end(String(error.message));
  }
});
server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1', () => console.log(`proving on port ${server.address().port}`));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.close(() => process.exit(0)));
