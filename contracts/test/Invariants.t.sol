// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Epochs} from "../src/Epochs.sol";
import {Verifiers} from "../src/Verifiers.sol";
import {Registry} from "../src/Registry.sol";
import {Fixture} from "./Fixture.sol";

/// @dev Does whatever an owner and operators might, in any order, and remembers what must not move.
contract Chaos is Fixture {
    mapping(uint64 => bytes32) public frozen;
    bytes32 public identityOfGoogle;

    constructor() {
        vm.warp(1_800_000_000);
        registry = new Registry("testnet", true, address(this), 2 days);
        registry.addVerifier(provider(), termsOf("torus", Verifiers.Mode.TwoRound));
        identityOfGoogle = keccak256(abi.encode(registry.getVerifier("google").identity));
    }

    /// @dev Not a step of the chaos.
    function setUp() public override {}

    function target() external view returns (Registry) {
        return registry;
    }

    function announce(uint8 pick, bool startWhenFull) external {
        uint32 n = [uint32(5), 6, 9][pick % 3];
        try registry.announceEpoch(n, n / 2 + 1, (n + 3) / 4 - 1, 0, startWhenFull) returns (uint64 e) {
            allow(e, 1, 12);
        } catch {}
        _freeze();
    }

    function join(uint8 first, uint8 many) external {
        for (uint256 j = 1 + (first % 14); j <= 1 + (first % 14) + (many % 8); j++) {
            _join(j);
        }
        _freeze();
    }

    function _join(uint256 j) private {
        uint64 e = registry.lastEpoch();
        Epochs.Registration memory r = node(j);
        bytes memory signature = signed(e, operator(j), r, identityKey(j));
        vm.prank(operator(j));
        try registry.register(e, r, signature) {} catch {}
    }

    /// @dev The next operator with another's consensus key: never lets two members share it.
    function joinWithStolenKey(uint8 who, uint8 from) external {
        uint64 e = registry.lastEpoch();
        uint256 j = 1 + (who % 14);
        Epochs.Registration memory r = node(j);
        r.consensus = node(1 + (from % 14)).consensus;
        bytes memory signature = signed(e, operator(j), r, identityKey(j));
        vm.prank(operator(j));
        try registry.register(e, r, signature) {} catch {}
        _freeze();
    }

    function correct(uint8 who, uint16 port) external {
        uint64 e = registry.lastEpoch();
        uint256 j = 1 + (who % 14);
        Epochs.Registration memory r = node(j);
        r.cometAddress = string.concat("10.0.0.1:", vm.toString(port));
        bytes memory signature = signed(e, operator(j), r, identityKey(j));
        vm.prank(operator(j));
        try registry.updateAddresses(e, r, signature) {} catch {}
    }

    function drop(uint8 who) external {
        try registry.removeOperator(registry.lastEpoch(), operator(1 + (who % 14))) {} catch {}
    }

    function start() external {
        try registry.startEpoch(registry.lastEpoch()) {} catch {}
        _freeze();
    }

    function abort(uint8 back) external {
        uint64 last = registry.lastEpoch();
        if (last != 0) try registry.abortEpoch(last - (back % last)) {} catch {}
    }

    function change(uint8 aud, bool bound, bool remove) external {
        Verifiers.Mode mode = bound ? Verifiers.Mode.Bound : Verifiers.Mode.TwoRound;
        if (remove && aud < 16) try registry.removeVerifier("google") {} catch {}
        else try registry.changeVerifier("google", termsOf(vm.toString(aud % 8), mode)) {} catch {}
    }

    function withdraw() external {
        try registry.withdrawVerifierChange("google") {} catch {}
    }

    function pass(uint32 seconds_) external {
        vm.warp(block.timestamp + (seconds_ % 3 days));
    }

    function _freeze() private {
        uint64 e = registry.lastEpoch();
        if (e == 0 || frozen[e] != 0) return;
        Epochs.EpochView memory v = registry.getEpoch(e);
        if (v.status == Epochs.Status.Started) frozen[e] = keccak256(abi.encode(v.members, v.n, v.k, v.t, v.startedAt));
    }
}

contract InvariantsTest {
    Chaos private chaos;
    Registry private registry;

    function setUp() public {
        chaos = new Chaos();
        registry = chaos.target();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(chaos);
    }

    /// @dev One function, so that one run of chaos serves all of them.
    function invariantWhatMustHold() public view {
        for (uint64 e = 1; e <= registry.lastEpoch(); e++) {
            _checkEpoch(registry.getEpoch(e));
        }
        Verifiers.VerifierView memory google = registry.getVerifier("google");
        assert(keccak256(abi.encode(google.identity)) == chaos.identityOfGoogle());
        uint64 pending = registry.getPending("google").number;
        assert(pending == 0 || pending > google.version);
    }

    function _checkEpoch(Epochs.EpochView memory v) private view {
        assert(v.members.length <= v.n && v.n >= v.k + 2 * v.t);
        assert(v.status != Epochs.Status.Started || v.members.length == v.n);
        assert(v.status != Epochs.Status.Open || v.epoch == registry.lastEpoch());
        bytes32 kept = chaos.frozen(v.epoch);
        assert(kept == 0 || kept == keccak256(abi.encode(v.members, v.n, v.k, v.t, v.startedAt)));
        for (uint256 i = 0; i < v.members.length; i++) {
            for (uint256 j = 0; j < i; j++) {
                assert(v.members[i].node.consensus != v.members[j].node.consensus);
                assert(v.members[i].node.identityX != v.members[j].node.identityX);
                assert(v.members[i].operator != v.members[j].operator);
            }
        }
    }
}
