// Portkey 1.15.2 answers every stream with 500: it appends to the headers of fetch's own answer,
// which Node makes immutable. Given a copy of that answer, it streams.
const { fetch, Response, Headers } = globalThis;
globalThis.fetch = async (...request) => {
  const answer = await fetch(...request);
  const { status, statusText } = answer;
  return new Response(answer.body, { status, statusText, headers: new Headers(answer.headers) });
};
