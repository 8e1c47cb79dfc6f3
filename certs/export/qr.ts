/** QR codes, for a terminal and for a page. What is in them is public: a fingerprint, or where a page is. */
import encodeQr from 'qr';

/** Two rows of the code in a line of text, light on dark. */
export function qrText(content: string): string {
  return encodeQr(content, 'ascii').trimEnd();
}

/** As SVG without a size of its own, dark on nothing: put it on white. */
export function qrSvg(content: string): string {
  return encodeQr(content, 'svg', { ecc: 'low' });
}
