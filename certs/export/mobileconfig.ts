/** A configuration profile that makes iPhones, iPads and Macs ask whether to trust a root (Apple's com.apple.security.root). */

/** The root that a profile brings. */
export interface ProfileOptions {
  readonly commonName: string;
  /** SHA-256, 64 hexadecimal digits: the same root always makes the same profile, which replaces itself. */
  readonly id: string;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** The profile as XML of Apple's property lists, unsigned: the device says so, and the fingerprint is what counts. */
export function mobileConfig({ commonName, id, certificate }: ProfileOptions): string {
  const name = escapeXml(commonName);
  const content =
    Buffer.from(certificate)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadCertificateFileName</key>
			<string>flm-ca.cer</string>
			<key>PayloadContent</key>
			<data>
${content.map((line) => `			${line}`).join('\n')}
			</data>
			<key>PayloadDisplayName</key>
			<string>${name}</string>
			<key>PayloadIdentifier</key>
			<string>dev.flm.ca.${id.slice(0, 16)}.root</string>
			<key>PayloadType</key>
			<string>com.apple.security.root</string>
			<key>PayloadUUID</key>
			<string>${uuidOf(id.slice(0, 32))}</string>
			<key>PayloadVersion</key>
			<integer>1</integer>
		</dict>
	</array>
	<key>PayloadDisplayName</key>
	<string>${name}</string>
	<key>PayloadIdentifier</key>
	<string>dev.flm.ca.${id.slice(0, 16)}</string>
	<key>PayloadRemovalDisallowed</key>
	<false/>
	<key>PayloadType</key>
	<string>Configuration</string>
	<key>PayloadUUID</key>
	<string>${uuidOf(id.slice(32))}</string>
	<key>PayloadVersion</key>
	<integer>1</integer>
</dict>
</plist>
`;
}

function uuidOf(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5').toUpperCase();
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
