// A caller as many services are: Node's own HTTP client. `node caller.js NAME URL` prints what came
// of the call of that name as JSON.
'use strict';
const http = require('node:http');

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function call(url, options, write) {
  return new Promise((resolve, reject) => {
    const request = http.request(url, { agent, ...options }, (response) => {
      let body = '';
      response.on('data', (piece) => { body += piece; });
      response.on('error', reject);
      response.on('end', () => resolve({
        status: response.statusCode, body, trailers: response.trailers, reused: request.reusedSocket,
      }));
    });
    request.on('error', reject);
    write(request);
  });
}

const calls = {
  // Several on one connection.
  async reuse(url) {
    const seen = [];
    for (let i = 0; i < 3; i += 1) {
      seen.push(await call(url, { method: 'POST' }, (request) => request.end('body')));
    }
    return seen;
  },
  // Fields behind a chunked body.
  trailers(url) {
    return call(url, { method: 'POST', headers: { trailer: 'x-sum', te: 'trailers' } }, (request) => {
      request.write('body');
      request.addTrailers({ 'x-sum': '4' });
      request.end();
    });
  },
  // Leave to send is awaited.
  leave(url) {
    return call(url, { method: 'POST', headers: { expect: '100-continue' } }, (request) => {
      request.on('continue', () => request.end('body'));
    });
  },
  // A body that is made while it is sent, by the client that came with the language.
  async stream(url) {
    let left = 100;
    const body = new ReadableStream({
      pull(controller) {
        if (left === 0) controller.close();
        else { left -= 1; controller.enqueue(new Uint8Array(10000)); }
      },
    });
    const response = await fetch(url, { method: 'POST', body, duplex: 'half' });
    return { status: response.status, body: await response.text() };
  },
  // A call that is given up in the middle of its answer.
  async abort(url) {
    const aborted = new AbortController();
    const response = await fetch(url, { signal: aborted.signal });
    aborted.abort();
    return { status: response.status };
  },
};

const [, , name, url] = process.argv;
calls[name](url).then((seen) => {
  console.log(JSON.stringify(seen));
  process.exit(0);
}, (error) => {
  console.error(error);
  process.exit(1);
});
