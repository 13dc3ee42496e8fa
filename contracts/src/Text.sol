// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Checks on strings: names are ASCII, everything else is bounded.
library Text {
    /// @return true if `s` has 1 to `limit` characters of [a-z0-9-] and neither starts nor ends with a hyphen.
    function isName(string memory s, uint256 limit) internal pure returns (bool) {
        bytes memory b = bytes(s);
        if (b.length == 0 || b.length > limit || b[0] == "-" || b[b.length - 1] == "-") return false;
        for (uint256 i = 0; i < b.length; i++) {
            bytes1 c = b[i];
            bool ok = (c >= "a" && c <= "z") || (c >= "0" && c <= "9") || c == "-";
            if (!ok) return false;
        }
        return true;
    }

    /// @return true if `s` has 1 to `limit` printable ASCII characters without a space.
    function isToken(string memory s, uint256 limit) internal pure returns (bool) {
        bytes memory b = bytes(s);
        if (b.length == 0 || b.length > limit) return false;
        for (uint256 i = 0; i < b.length; i++) {
            if (b[i] <= 0x20 || b[i] >= 0x7f) return false;
        }
        return true;
    }

    /// @return true if `s` has 1 to 64 characters of those that claim names are made of.
    function isClaim(string memory s) internal pure returns (bool) {
        bytes memory b = bytes(s);
        if (b.length == 0 || b.length > 64) return false;
        for (uint256 i = 0; i < b.length; i++) {
            bytes1 c = b[i];
            bool letter = (c >= "a" && c <= "z") || (c >= "A" && c <= "Z");
            bool other = (c >= "-" && c <= ":") || c == "_";
            if (!letter && !other) return false;
        }
        return true;
    }

    function startsWith(string memory s, string memory prefix) internal pure returns (bool) {
        bytes memory b = bytes(s);
        bytes memory p = bytes(prefix);
        if (b.length < p.length) return false;
        for (uint256 i = 0; i < p.length; i++) {
            if (b[i] != p[i]) return false;
        }
        return true;
    }

    /// @return The part of `url` behind "://", or all of it: existing clients expect a bare host.
    function withoutScheme(string memory url) internal pure returns (string memory) {
        bytes memory b = bytes(url);
        uint256 from = startsWith(url, "https://") ? 8 : startsWith(url, "http://") ? 7 : 0;
        bytes memory rest = new bytes(b.length - from);
        for (uint256 i = from; i < b.length; i++) {
            rest[i - from] = b[i];
        }
        return string(rest);
    }
}
