/** One file of a `multipart/form-data` body. */
export interface Part {
  /** The name of the form's field. */
  readonly name: string;
  readonly fileName: string | undefined;
  /** Empty when the part does not say. */
  readonly contentType: string;
  readonly bytes: Uint8Array;
}

const lineEnd = "\r\n";
const maxHeaderBytes = 4096;

/** The boundary that a content type names, or undefined when it names none that is allowed (RFC 2046 §5.1.1). */
export function boundaryOf(contentType: string): string | undefined {
  const found = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70})(?=[\s;]|$))/i.exec(contentType);
  return found?.[1] ?? found?.[2];
}

/**
 * The parts of a body (RFC 7578), as views of its bytes; nothing is copied. Returns what is wrong as text when the body does
 * not fit or has more than `maxParts`.
 */
export function readMultipart(body: Uint8Array, boundary: string, maxParts: number): readonly Part[] | string {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = Buffer.from(`${lineEnd}--${boundary}`);
  const parts: Part[] = [];
  // The first delimiter has no line before it.
  let at = bytes.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2)) ? delimiter.length - 2 : -1;
  if (at === -1) return `the body does not begin with the boundary --${boundary}`;
  while (bytes.toString("latin1", at, at + 2) !== "--") {
    if (parts.length === maxParts) return `the body has more than ${maxParts} parts; send more requests`;
    const headerEnd = bytes.indexOf(`${lineEnd}${lineEnd}`, at, "latin1");
    const end = headerEnd === -1 ? -1 : bytes.indexOf(delimiter, headerEnd + 2);
    if (end === -1) return `part ${parts.length} has no end; the body is cut off`;
    if (headerEnd - at > maxHeaderBytes) return `part ${parts.length} has more than ${maxHeaderBytes} bytes of headers`;
    const header = bytes.toString("utf8", at, headerEnd);
    // Two line ends in a row when the part is empty: the second belongs to the delimiter.
    const part = partOf(header, bytes.subarray(Math.min(headerEnd + 4, end), end));
    if (part === undefined)
      return `part ${parts.length} does not say its name: Content-Disposition: form-data; name="…"`;
    parts.push(part);
    at = end + delimiter.length;
  }
  return parts;
}

function partOf(header: string, bytes: Uint8Array): Part | undefined {
  const disposition = /^content-disposition:\s*form-data\s*(;.*)$/im.exec(header)?.[1] ?? "";
  const name = /;\s*name="([^"]*)"/i.exec(disposition)?.[1];
  if (name === undefined) return undefined;
  const fileName = /;\s*filename="([^"]*)"/i.exec(disposition)?.[1];
  const contentType = /^content-type:\s*(\S.*)$/im.exec(header)?.[1]?.trim() ?? "";
  return { name, fileName, contentType, bytes };
}
