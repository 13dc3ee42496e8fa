// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Registry} from "../src/Registry.sol";
import {Epochs} from "../src/Epochs.sol";
import "../src/Errors.sol";
import {Fixture} from "./Fixture.sol";

contract EpochsTest is Fixture {
    // ---- announcing

    function testNumbersGrowAndPointAtEachOther() public {
        uint64 first = open(5, true);
        registerAll(first, 5);
        uint64 second = registry.announceEpoch(9, 5, 2, 7 days, false);
        assert(first == 1 && second == 2 && registry.lastEpoch() == 2);
        assert(registry.getEpoch(1).next == 2 && registry.getEpoch(2).previous == 1);
    }

    function testFuzzRefusesExactlyTheUnsoundParameters(uint32 n, uint32 k, uint32 t) public {
        (n, k, t) = (n % 70, k % 70, t % 40);
        bool sound = n <= 64 && k > t && n >= k + 2 * t && n > 3 * t;
        if (!sound) vm.expectRevert(abi.encodeWithSelector(BadParameters.selector, n, k, t));
        registry.announceEpoch(n, k, t, 0, true);
    }

    function testRefusesASuccessorOfAnEpochThatHasNotStarted() public {
        open(5, true);
        vm.expectRevert(abi.encodeWithSelector(PreviousNotStarted.selector, 1));
        registry.announceEpoch(5, 3, 1, 7 days, true);
    }

    function testRefusesAShortNoticeOutsideDev() public {
        registry = new Registry("mainnet", false, address(this), 2 days);
        uint64 first = open(5, true);
        registerAll(first, 5);
        vm.expectRevert(abi.encodeWithSelector(NoticeTooShort.selector, 1 hours));
        registry.announceEpoch(5, 3, 1, 1 hours, true);
        registry.announceEpoch(5, 3, 1, 1 days, true);
    }

    function testRefusesABadNetworkId() public {
        string[5] memory bad = ["", "Test", "a_b", "-a", "a-"];
        for (uint256 i = 0; i < bad.length; i++) {
            vm.expectPartialRevert(BadNetworkId.selector);
            new Registry(bad[i], true, address(this), 0);
        }
    }

    function testOnlyTheOwnerDecides() public {
        uint64 e = open(5, false);
        address[] memory one = new address[](1);
        one[0] = address(0xbeef);
        bytes memory refusal = abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(0xbad));
        vm.prank(address(0xbad));
        vm.expectRevert(refusal);
        registry.announceEpoch(5, 3, 1, 0, true);
        vm.prank(address(0xbad));
        vm.expectRevert(refusal);
        registry.allowOperators(e, one);
        vm.prank(address(0xbad));
        vm.expectRevert(refusal);
        registry.removeOperator(e, operator(1));
        vm.prank(address(0xbad));
        vm.expectRevert(refusal);
        registry.startEpoch(e);
        vm.prank(address(0xbad));
        vm.expectRevert(refusal);
        registry.abortEpoch(e);
    }

    function testOwnershipMovesInTwoSteps() public {
        registry.transferOwnership(address(0xabc));
        assert(registry.owner() == address(this));
        vm.prank(address(0xabc));
        registry.acceptOwnership();
        assert(registry.owner() == address(0xabc));
    }

    // ---- registering

    function testMembersStandInTheOrderOfTheWhitelist() public {
        uint64 e = open(5, false);
        for (uint256 j = 5; j >= 1; j--) {
            register(e, j);
        }
        Epochs.EpochView memory v = registry.getEpoch(e);
        assert(v.members.length == 5);
        for (uint256 j = 1; j <= 5; j++) {
            assert(v.members[j - 1].operator == operator(j));
            assert(v.members[j - 1].node.consensus == node(j).consensus);
        }
    }

    function testStartsInTheBlockThatFillsIt() public {
        uint64 e = open(5, true);
        vm.roll(77);
        registerAll(e, 5);
        Epochs.EpochView memory v = registry.getEpoch(e);
        assert(v.status == Epochs.Status.Started && v.startedBlock == 77 && v.startedAt == 1_800_000_000);
    }

    function testRefusesAnUnknownEpoch() public {
        vm.expectRevert(abi.encodeWithSelector(UnknownEpoch.selector, 7));
        registry.getEpoch(7);
        vm.expectRevert(abi.encodeWithSelector(UnknownEpoch.selector, 7));
        registry.register(7, node(1), "");
    }

    function testRefusesAStranger() public {
        uint64 e = open(5, true);
        Epochs.Registration memory r = node(9);
        bytes memory signature = signed(e, operator(9), r, identityKey(9));
        vm.prank(operator(9));
        vm.expectRevert(abi.encodeWithSelector(NotAllowed.selector, operator(9)));
        registry.register(e, r, signature);
    }

    function testRefusesASecondRegistration() public {
        uint64 e = open(5, true);
        register(e, 1);
        Epochs.Registration memory r = node(11);
        bytes memory signature = signed(e, operator(1), r, identityKey(11));
        vm.prank(operator(1));
        vm.expectRevert(abi.encodeWithSelector(AlreadyRegistered.selector, operator(1)));
        registry.register(e, r, signature);
    }

    function testRefusesEachKeyThatIsInUse() public {
        uint64 e = open(6, true);
        register(e, 1);
        for (uint256 which = 0; which < 4; which++) {
            Epochs.Registration memory r = node(2);
            Epochs.Registration memory taken = node(1);
            uint256 key = identityKey(2);
            if (which == 0) (r.identityX, r.identityY, key) = (taken.identityX, taken.identityY, identityKey(1));
            if (which == 1) r.consensus = taken.consensus;
            if (which == 2) r.peerId = taken.peerId;
            if (which == 3) r.cometId = taken.cometId;
            bytes memory signature = signed(e, operator(2), r, key);
            vm.prank(operator(2));
            vm.expectPartialRevert(KeyInUse.selector);
            registry.register(e, r, signature);
        }
        register(e, 2);
    }

    function testRefusesMoreThanNMembers() public {
        uint64 e = open(5, false);
        allow(e, 6, 7);
        registerAll(e, 5);
        Epochs.Registration memory r = node(6);
        bytes memory signature = signed(e, operator(6), r, identityKey(6));
        vm.prank(operator(6));
        vm.expectRevert(abi.encodeWithSelector(EpochIsFull.selector, e));
        registry.register(e, r, signature);
    }

    function testRefusesMissingOrMalformedFields() public {
        uint64 e = open(5, true);
        for (uint256 which = 0; which < 9; which++) {
            Epochs.Registration memory r = node(1);
            if (which == 0) r.consensus = 0;
            if (which == 1) r.cometId = 0;
            if (which == 2) r.peerId = "";
            if (which == 3) r.p2pAddress = "127.0.0.1";
            if (which == 4) r.cometAddress = "";
            if (which == 5) r.endpoint = "";
            if (which == 6) r.endpoint = "ftp://node.example";
            if (which == 7) r.endpoint = "https://node .example";
            if (which == 8) r.p2pAddress = string(new bytes(300));
            bytes memory signature = signed(e, operator(1), r, identityKey(1));
            vm.prank(operator(1));
            vm.expectRevert();
            registry.register(e, r, signature);
        }
        assert(registry.getEpoch(e).members.length == 0);
    }

    function testRefusesPlainHttpOutsideDev() public {
        registry = new Registry("mainnet", false, address(this), 2 days);
        uint64 e = open(5, true);
        Epochs.Registration memory r = node(1);
        r.endpoint = "http://node.example";
        bytes memory signature = signed(e, operator(1), r, identityKey(1));
        vm.prank(operator(1));
        vm.expectRevert(abi.encodeWithSelector(BadAddress.selector, "endpoint"));
        registry.register(e, r, signature);
    }

    // ---- the identity key's signature

    function testRefusesASignatureForAnotherContractChainEpochOrOperator() public {
        uint64 e = open(5, true);
        Epochs.Registration memory r = node(1);
        Registry other = new Registry("testnet", true, address(this), 2 days);
        Registry here = registry;
        registry = other;
        bytes memory foreign = signed(e, operator(1), r, identityKey(1));
        registry = here;
        _refuse(e, r, foreign);
        _refuse(e, r, signed(e + 1, operator(1), r, identityKey(1)));
        _refuse(e, r, signed(e, operator(2), r, identityKey(1)));
        _refuse(e, r, signed(e, operator(1), r, identityKey(2)));
        vm.chainId(5);
        bytes memory elsewhere = signed(e, operator(1), r, identityKey(1));
        vm.chainId(31337);
        _refuse(e, r, elsewhere);
    }

    function testFuzzRefusesASignatureOverOtherFields(uint8 which, uint256 noise) public {
        uint64 e = open(5, true);
        Epochs.Registration memory r = node(1);
        bytes memory signature = signed(e, operator(1), r, identityKey(1));
        which = which % 8;
        if (which == 0) r.consensus = bytes32(noise | 1) ^ r.consensus;
        if (which == 1) r.peerId = string.concat(r.peerId, "x");
        if (which == 2) r.cometId = bytes20(uint160(noise | 1)) ^ r.cometId;
        if (which == 3) r.p2pAddress = string.concat(r.p2pAddress, "1");
        if (which == 4) r.cometAddress = string.concat(r.cometAddress, "1");
        if (which == 5) r.endpoint = string.concat(r.endpoint, "/y");
        if (which == 6) r.identityX ^= noise | 1;
        if (which == 7) r.identityY ^= noise | 1;
        vm.prank(operator(1));
        vm.expectRevert();
        registry.register(e, r, signature);
    }

    function testFuzzRefusesForgedBytes(bytes calldata forged) public {
        uint64 e = open(5, true);
        _refuse(e, node(1), forged);
    }

    function testRefusesTheHighTwinOfASignature() public {
        uint64 e = open(5, true);
        Epochs.Registration memory r = node(1);
        (uint8 v, bytes32 rr, bytes32 s) = vm.sign(identityKey(1), registry.registrationDigest(e, operator(1), r));
        bytes32 high = bytes32(ORDER - uint256(s));
        assert(uint256(s) <= HALF_ORDER);
        _refuse(e, r, abi.encodePacked(rr, high, v == 27 ? 28 : 27));
    }

    function _refuse(uint64 e, Epochs.Registration memory r, bytes memory signature) private {
        vm.prank(operator(1));
        vm.expectPartialRevert(BadIdentitySignature.selector);
        registry.register(e, r, signature);
    }

    // ---- correcting

    function testAMemberCorrectsAddresses() public {
        uint64 e = open(5, true);
        register(e, 1);
        Epochs.Registration memory r = node(1);
        (r.p2pAddress, r.cometAddress, r.endpoint) = ("/ip4/10.0.0.1/tcp/1", "10.0.0.1:2", "https://new.example");
        bytes memory signature = signed(e, operator(1), r, identityKey(1));
        vm.prank(operator(1));
        registry.updateAddresses(e, r, signature);
        Epochs.Registration memory now_ = registry.getEpoch(e).members[0].node;
        assert(equal(now_.endpoint, "https://new.example") && equal(now_.cometAddress, "10.0.0.1:2"));
    }

    function testRefusesACorrectionOfKeys() public {
        uint64 e = open(5, true);
        register(e, 1);
        for (uint256 which = 0; which < 4; which++) {
            Epochs.Registration memory r = node(1);
            Epochs.Registration memory other = node(3);
            if (which == 0) (r.identityX, r.identityY) = (other.identityX, other.identityY);
            if (which == 1) r.consensus = other.consensus;
            if (which == 2) r.peerId = other.peerId;
            if (which == 3) r.cometId = other.cometId;
            bytes memory signature = signed(e, operator(1), r, identityKey(1));
            vm.prank(operator(1));
            vm.expectPartialRevert(KeyChanged.selector);
            registry.updateAddresses(e, r, signature);
        }
    }

    function testRefusesACorrectionBySomebodyElse() public {
        uint64 e = open(5, true);
        register(e, 1);
        Epochs.Registration memory r = node(1);
        bytes memory signature = signed(e, operator(1), r, identityKey(1));
        vm.prank(operator(2));
        vm.expectRevert(abi.encodeWithSelector(NotRegistered.selector, operator(2)));
        registry.updateAddresses(e, r, signature);
    }

    // ---- a started epoch never changes

    function testRefusesEveryChangeOfAStartedEpoch() public {
        uint64 e = open(5, true);
        registerAll(e, 5);
        bytes memory refusal = abi.encodeWithSelector(EpochHasStarted.selector, e);
        Epochs.Registration memory r = node(1);
        bytes memory signature = signed(e, operator(1), r, identityKey(1));
        vm.prank(operator(1));
        vm.expectRevert(refusal);
        registry.updateAddresses(e, r, signature);
        vm.prank(operator(1));
        vm.expectRevert(refusal);
        registry.register(e, r, signature);
        vm.expectRevert(refusal);
        registry.removeOperator(e, operator(1));
        vm.expectRevert(refusal);
        registry.allowOperators(e, new address[](1));
        vm.expectRevert(refusal);
        registry.startEpoch(e);
        vm.expectRevert(abi.encodeWithSelector(CannotAbort.selector, e));
        registry.abortEpoch(e);
    }

    function testRefusesToStartBeforeItIsFull() public {
        uint64 e = open(5, false);
        register(e, 1);
        vm.expectRevert(abi.encodeWithSelector(EpochNotFull.selector, e, 1, 5));
        registry.startEpoch(e);
    }

    // ---- whitelist

    function testRefusesToAllowTwice() public {
        uint64 e = open(5, true);
        address[] memory again = new address[](1);
        again[0] = operator(3);
        vm.expectRevert(abi.encodeWithSelector(AlreadyAllowed.selector, operator(3)));
        registry.allowOperators(e, again);
    }

    function testRefusesTooManyOperators() public {
        uint64 e = open(5, true);
        vm.expectPartialRevert(TooManyOperators.selector);
        registry.allowOperators(e, new address[](124));
    }

    function testARemovedOperatorFreesItsKeysAndSeat() public {
        uint64 e = open(5, true);
        register(e, 2);
        registry.removeOperator(e, operator(2));
        Epochs.EpochView memory v = registry.getEpoch(e);
        assert(v.members.length == 0 && v.operators.length == 4 && v.operators[1] == operator(3));
        vm.expectRevert(abi.encodeWithSelector(NotAllowed.selector, operator(2)));
        registry.removeOperator(e, operator(2));
        allow(e, 2, 2);
        register(e, 2);
        assert(registry.getEpoch(e).operators[4] == operator(2));
    }

    // ---- calling off

    function testAnAbortedEpochIsSkipped() public {
        uint64 first = open(5, true);
        registerAll(first, 5);
        uint64 second = open(9, true);
        registry.abortEpoch(second);
        assert(registry.getEpoch(first).next == 0);
        vm.expectRevert(abi.encodeWithSelector(EpochIsAborted.selector, second));
        registry.abortEpoch(second);
        vm.expectRevert(abi.encodeWithSelector(EpochIsAborted.selector, second));
        registry.startEpoch(second);
        uint64 third = open(6, true);
        assert(third == 3 && registry.getEpoch(third).previous == first && registry.getEpoch(first).next == third);
        vm.expectRevert(abi.encodeWithSelector(CannotAbort.selector, second - 1));
        registry.abortEpoch(first);
    }

    function testWhoAnnouncedTwiceCanCallBothOff() public {
        uint64 first = open(5, true);
        registerAll(first, 5);
        uint64 second = open(5, true);
        registerAll(second, 5);
        uint64 third = open(6, true);
        vm.expectRevert(abi.encodeWithSelector(CannotAbort.selector, second));
        registry.abortEpoch(second);
        registry.abortEpoch(third);
        registry.abortEpoch(second);
        assert(registry.getEpoch(first).next == 0 && registry.servingEpoch() == first);
        vm.expectRevert(abi.encodeWithSelector(CannotAbort.selector, first));
        registry.abortEpoch(first);
        assert(registry.getEpoch(open(9, true)).previous == first);
    }

    // ---- view of older clients

    function testTheOldViewGivesHostsWithoutScheme() public {
        uint64 e = open(5, true);
        (uint256 none,,,,) = registry.getNodeSet("google", bytes32(0));
        assert(none == 0);
        registerAll(e, 5);
        (uint256 current, string[] memory hosts, uint256[] memory x, uint256[] memory y, uint256[] memory at) =
            registry.getNodeSet("google", keccak256("bob"));
        assert(current == 1 && hosts.length == 5 && equal(hosts[2], "node3.example:9443/x"));
        assert(x[2] == node(3).identityX && y[2] == node(3).identityY && at[2] == 3);
        assert(registry.getNodeSet.selector == bytes4(0xd59936e9));
    }

    function testTheOldViewWaitsOutTheNotice() public {
        uint64 first = open(5, true);
        registerAll(first, 5);
        uint64 second = registry.announceEpoch(5, 3, 1, 7 days, true);
        allow(second, 1, 5);
        assert(registry.servingEpoch() == first);
        registerAll(second, 5);
        assert(registry.servingEpoch() == first);
        vm.warp(block.timestamp + 7 days);
        assert(registry.servingEpoch() == second);
    }
}
