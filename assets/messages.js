// The messages that the chat page shows, assembled from the pieces that the server sends: the end
// of the conversation (or a section of older messages), pages of older messages, newer messages.
// Only new pieces are sent over the socket; earlier ones are kept here.

let shown = { rows: [], first: "", last: "", hasOlder: false };
const taken = {};

// Applies each new piece once, whichever component renders first. A piece that does not join what
// is shown is dropped: after a lost connection the server sends the whole end again.
export function useMessages(end, older, newest) {
  take("end", end, putEnd);
  take("older", older, putOlder);
  take("newest", newest, putNewest);
  return shown;
}

function take(name, piece, put) {
  if (!piece?.stamp || taken[name] === piece.stamp) return;
  taken[name] = piece.stamp;
  put(piece);
}

function putEnd({ rows, has_older: hasOlder, is_window: isWindow }) {
  const joint = isWindow ? -1 : indexOf(rows[0]?.id);
  if (joint > 0) show([...shown.rows.slice(0, joint), ...rows], shown.hasOlder);
  else show(rows, hasOlder);
}

function putOlder({ rows, has_older: hasOlder, joins }) {
  if (joins && shown.first === joins) show([...rows, ...shown.rows], hasOlder);
}

function putNewest({ rows, joins }) {
  const joint = indexOf(joins);
  if (joint >= 0) show([...shown.rows.slice(0, joint + 1), ...rows], shown.hasOlder);
}

function indexOf(id) {
  return id ? shown.rows.findLastIndex((row) => row.id === id) : -1;
}

function show(rows, hasOlder) {
  const [first, last] = [rows[0]?.id ?? "", rows.at(-1)?.id ?? ""];
  shown = { rows: rows.map(withDay), first, last, hasOlder };
}

// The day is shown above its first message.
function withDay(row, index, rows) {
  const startsDay = row.date !== rows[index - 1]?.date;
  return row.starts_day === startsDay ? row : { ...row, starts_day: startsDay };
}
