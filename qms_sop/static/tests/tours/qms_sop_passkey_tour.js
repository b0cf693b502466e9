import {registry} from "@web/core/registry";

const fromText = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) =>
        c.charCodeAt(0)
    );

/** A passkey in software, in place of the device that a person would touch. */
async function answer({publicKey}) {
    const {id, key} = JSON.parse(localStorage.getItem("qms_sop.passkey"));
    const rawId = fromText(id);
    const known = new Uint8Array(publicKey.allowCredentials[0].id);
    if (known.join() !== rawId.join()) {
        throw new Error("Another credential is asked for");
    }
    const sha256 = async (data) =>
        new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    const encoder = new TextEncoder();
    const challenge = btoa(String.fromCharCode(...new Uint8Array(publicKey.challenge)))
        .replace(/\+/g, "-")
        .replace(/\//g, "_")
        .replace(/=/g, "");
    const clientDataJSON = encoder.encode(
        JSON.stringify({type: "webauthn.get", challenge, origin: location.origin})
    );
    const authenticatorData = new Uint8Array([
        ...(await sha256(encoder.encode(publicKey.rpId))),
        // Present and verified; used for the first time
        ...[5, 0, 0, 0, 1],
    ]);
    const algorithm = {name: "ECDSA", namedCurve: "P-256", hash: "SHA-256"};
    const privateKey = await crypto.subtle.importKey("jwk", key, algorithm, false, [
        "sign",
    ]);
    const signed = new Uint8Array([
        ...authenticatorData,
        ...(await sha256(clientDataJSON)),
    ]);
    const raw = new Uint8Array(await crypto.subtle.sign(algorithm, privateKey, signed));
    return {
        id,
        rawId,
        type: "public-key",
        getClientExtensionResults: () => ({}),
        response: {authenticatorData, clientDataJSON, signature: toDer(raw)},
    };
}

/** Devices give the two numbers of a signature as ASN.1, WebCrypto as they are. */
function toDer(raw) {
    const numbers = [raw.slice(0, 32), raw.slice(32)].flatMap((number) => {
        const start = number.findIndex((byte) => byte !== 0);
        const digits = [...number.slice(start)];
        const positive = digits[0] & 0x80 ? [0, ...digits] : digits;
        return [0x02, positive.length, ...positive];
    });
    return new Uint8Array([0x30, numbers.length, ...numbers]);
}

registry.category("web_tour.tours").add("qms_sop_passkey_tour", {
    steps: () => [
        {trigger: ".o_statusbar_status .o_arrow_button_current:contains(In review)"},
        {trigger: "button[name=action_approve]", run: "click"},
        {
            content: "Who has a passkey is told so",
            trigger: ".modal .o_qms_passkey_hint:contains(You have a passkey)",
        },
        {
            content: "The person thinks better of it",
            trigger: ".modal button[name=action_sign_with_passkey]",
            run: () => {
                navigator.credentials.get = () => {
                    navigator.credentials.get = answer;
                    const message = "The operation was not allowed";
                    return Promise.reject(new DOMException(message, "NotAllowedError"));
                };
                document
                    .querySelector(".modal button[name=action_sign_with_passkey]")
                    .click();
            },
        },
        {
            content: "That is no attempt, and said",
            trigger: ".o_notification:contains(The passkey was not used)",
        },
        {
            trigger: ".modal button[name=action_sign_with_passkey]:enabled",
            run: "click",
        },
        {trigger: ".o_statusbar_status .o_arrow_button_current:contains(Approved)"},
    ],
});
