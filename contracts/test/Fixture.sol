// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Registry} from "../src/Registry.sol";
import {Epochs} from "../src/Epochs.sol";
import {Verifiers} from "../src/Verifiers.sol";

interface Vm {
    struct Wallet {
        address addr;
        uint256 publicKeyX;
        uint256 publicKeyY;
        uint256 privateKey;
    }

    function createWallet(uint256 privateKey) external returns (Wallet memory);
    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function prank(address sender) external;
    function expectRevert(bytes calldata revertData) external;
    function expectPartialRevert(bytes4 selector) external;
    function expectRevert() external;
    function warp(uint256 timestamp) external;
    function roll(uint256 number) external;
    function chainId(uint256 id) external;
    function assume(bool condition) external pure;
    function toString(uint256 value) external pure returns (string memory);
}

/// @dev A registry, made-up nodes that can register, and one provider.
abstract contract Fixture {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 internal constant HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    Registry internal registry;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        registry = new Registry("testnet", true, address(this), 2 days);
    }

    function operator(uint256 j) internal pure returns (address) {
        return address(uint160(0x1000 + j));
    }

    function node(uint256 j) internal returns (Epochs.Registration memory r) {
        Vm.Wallet memory w = vm.createWallet(identityKey(j));
        r.identityX = w.publicKeyX;
        r.identityY = w.publicKeyY;
        r.consensus = keccak256(abi.encode("consensus", j));
        r.peerId = string.concat("16Uiu2HAm", vm.toString(j));
        r.cometId = bytes20(keccak256(abi.encode("comet", j)));
        r.p2pAddress = string.concat("/ip4/127.0.0.1/tcp/", vm.toString(9000 + j));
        r.cometAddress = string.concat("127.0.0.1:", vm.toString(9100 + j));
        r.endpoint = string.concat("https://node", vm.toString(j), ".example:9443/x");
    }

    function identityKey(uint256 j) internal pure returns (uint256) {
        return uint256(keccak256(abi.encode("identity", j))) % ORDER;
    }

    function signed(uint64 epoch, address by, Epochs.Registration memory r, uint256 key)
        internal
        view
        returns (bytes memory)
    {
        (uint8 v, bytes32 rr, bytes32 s) = vm.sign(key, registry.registrationDigest(epoch, by, r));
        return abi.encodePacked(rr, s, v);
    }

    /// @dev Announce an epoch of n = 5, 6, 9 ... and allow operators 1..n.
    function open(uint32 n, bool startWhenFull) internal returns (uint64 epoch) {
        epoch = registry.announceEpoch(n, n / 2 + 1, (n + 3) / 4 - 1, 7 days, startWhenFull);
        allow(epoch, 1, n);
    }

    function allow(uint64 epoch, uint256 first, uint256 last) internal {
        address[] memory operators = new address[](last - first + 1);
        for (uint256 j = first; j <= last; j++) {
            operators[j - first] = operator(j);
        }
        registry.allowOperators(epoch, operators);
    }

    function register(uint64 epoch, uint256 j) internal {
        Epochs.Registration memory r = node(j);
        bytes memory signature = signed(epoch, operator(j), r, identityKey(j));
        vm.prank(operator(j));
        registry.register(epoch, r, signature);
    }

    function registerAll(uint64 epoch, uint256 n) internal {
        for (uint256 j = 1; j <= n; j++) {
            register(epoch, j);
        }
    }

    function provider() internal pure returns (Verifiers.Identity memory) {
        return Verifiers.Identity("google", "https://accounts.example", "email", "nonce", Verifiers.CaseRule.AsciiLower);
    }

    function termsOf(string memory aud, Verifiers.Mode mode) internal view returns (Verifiers.Terms memory t) {
        t.jwksUrl = "https://accounts.example/jwks";
        t.audiences = new Verifiers.Audience[](1);
        t.audiences[0] = Verifiers.Audience(aud, mode);
        t.algorithms = new string[](1);
        t.algorithms[0] = "RS256";
        t.iatLimitS = 120;
        t.owner = address(this);
    }

    function equal(string memory a, string memory b) internal pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }
}
