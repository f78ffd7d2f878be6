<?php
// Verifies a request with PHP's own functions. The body is file_get_contents('php://input'), the headers are
// $_SERVER['HTTP_WEBHOOK_ID'], $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] and $_SERVER['HTTP_WEBHOOK_SIGNATURE'].

/** Whether the request was signed with the secret (whsec_...) and is at most five minutes old. */
function verify(string $secret, string $id, string $at, string $signatures, string $body): bool
{
    if (!preg_match('/^\d+$/D', $at) || abs(time() - (int) $at) > 300) {
        return false;
    }
    $key = base64_decode(substr($secret, strlen('whsec_')));
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$at.$body", $key, true));
    foreach (explode(' ', $signatures) as $each) { // several during a rotation
        if (hash_equals($expected, $each)) {
            return true;
        }
    }
    return false;
}
