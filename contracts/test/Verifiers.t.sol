// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {Registry} from "../src/Registry.sol";
import {Verifiers} from "../src/Verifiers.sol";
import "../src/Errors.sol";
import {Fixture} from "./Fixture.sol";

contract VerifiersTest is Fixture {
    Verifiers.Mode private constant BOUND = Verifiers.Mode.Bound;
    Verifiers.Mode private constant TWO_ROUND = Verifiers.Mode.TwoRound;

    function setUp() public override {
        super.setUp();
        registry.addVerifier(provider(), termsOf("torus", TWO_ROUND));
    }

    function testANewVerifierHoldsAtOnce() public view {
        Verifiers.VerifierView memory v = registry.getVerifier("google");
        assert(v.version == 1 && !v.removed && v.effectiveAt == block.timestamp);
        assert(equal(v.identity.issuer, "https://accounts.example") && equal(v.terms.audiences[0].aud, "torus"));
        assert(registry.verifierCount() == 1 && registry.getVerifiers(0, 10).length == 1);
        assert(registry.getVerifiers(1, 10).length == 0 && registry.getVerifiers(9, 9).length == 0);
    }

    function testRefusesBadNames() public {
        string[5] memory bad = ["", "Google", "goo gle", "-x", "g\xc3\xb6"];
        for (uint256 i = 0; i < bad.length; i++) {
            Verifiers.Identity memory id = provider();
            id.name = bad[i];
            vm.expectRevert(abi.encodeWithSelector(BadVerifierName.selector, bad[i]));
            registry.addVerifier(id, termsOf("a", BOUND));
        }
    }

    function testRefusesBadFields() public {
        for (uint256 which = 0; which < 11; which++) {
            Verifiers.Identity memory id = provider();
            id.name = "other";
            Verifiers.Terms memory t = termsOf("fresh", BOUND);
            if (which == 0) id.issuer = "";
            if (which == 1) id.idClaim = "e mail";
            if (which == 2) id.sessionClaim = "";
            if (which == 3) t.jwksUrl = "file:///etc/keys";
            if (which == 4) t.audiences = new Verifiers.Audience[](0);
            if (which == 5) t.audiences[0].aud = "";
            if (which == 6) t.algorithms = new string[](0);
            if (which == 7) t.algorithms[0] = "none";
            if (which == 8) t.algorithms[0] = "HS256";
            if (which == 9) t.iatLimitS = 0;
            if (which == 10) t.iatLimitS = 1 days + 1;
            vm.expectPartialRevert(BadVerifierField.selector);
            registry.addVerifier(id, t);
        }
    }

    function testRefusesPlainHttpOutsideDev() public {
        registry = new Registry("mainnet", false, address(this), 2 days);
        Verifiers.Terms memory t = termsOf("a", BOUND);
        t.jwksUrl = "http://accounts.example/jwks";
        vm.expectRevert(abi.encodeWithSelector(BadVerifierField.selector, "jwksUrl"));
        registry.addVerifier(provider(), t);
    }

    function testRefusesATakenName() public {
        vm.expectRevert(abi.encodeWithSelector(VerifierNameTaken.selector, "google"));
        registry.addVerifier(provider(), termsOf("b", BOUND));
    }

    function testRefusesAnAudienceOfAnotherVerifier() public {
        Verifiers.Identity memory id = provider();
        id.name = "copy";
        vm.expectRevert(abi.encodeWithSelector(AudienceTaken.selector, "https://accounts.example", "torus"));
        registry.addVerifier(id, termsOf("torus", TWO_ROUND));
        id.issuer = "https://elsewhere.example";
        registry.addVerifier(id, termsOf("torus", TWO_ROUND));
    }

    function testRefusesAnotherModeForAnAudience() public {
        vm.expectRevert(abi.encodeWithSelector(AudienceModeFixed.selector, "https://accounts.example", "torus"));
        registry.changeVerifier("google", termsOf("torus", BOUND));
    }

    function testRefusesOneAudienceInBothModes() public {
        Verifiers.Terms memory t = termsOf("torus", TWO_ROUND);
        t.audiences = new Verifiers.Audience[](2);
        t.audiences[0] = Verifiers.Audience("torus", TWO_ROUND);
        t.audiences[1] = Verifiers.Audience("torus", BOUND);
        vm.expectRevert(abi.encodeWithSelector(AudienceTaken.selector, "https://accounts.example", "torus"));
        registry.changeVerifier("google", t);
    }

    function testADroppedAudienceStaysTaken() public {
        registry.changeVerifier("google", termsOf("second", BOUND));
        vm.warp(block.timestamp + 2 days);
        assert(equal(registry.getVerifier("google").terms.audiences[0].aud, "second"));
        Verifiers.Identity memory id = provider();
        id.name = "copy";
        vm.expectPartialRevert(AudienceTaken.selector);
        registry.addVerifier(id, termsOf("torus", TWO_ROUND));
        vm.expectPartialRevert(AudienceModeFixed.selector);
        registry.changeVerifier("google", termsOf("torus", BOUND));
    }

    function testAChangeHoldsAfterTheDelayOnly() public {
        Verifiers.Terms memory t = termsOf("torus", TWO_ROUND);
        t.jwksUrl = "https://accounts.example/new";
        registry.changeVerifier("google", t);
        vm.warp(block.timestamp + 2 days - 1);
        assert(registry.getVerifier("google").version == 1);
        assert(registry.getPending("google").number == 2);
        vm.warp(block.timestamp + 1);
        assert(registry.getVerifier("google").version == 2);
        assert(equal(registry.getVerifier("google").terms.jwksUrl, "https://accounts.example/new"));
        assert(registry.getPending("google").number == 0);
    }

    function testWithoutDelayAChangeHoldsAtOnce() public {
        registry = new Registry("testnet", true, address(this), 0);
        registry.addVerifier(provider(), termsOf("torus", TWO_ROUND));
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        assert(registry.getVerifier("google").version == 3);
    }

    function testRefusesAShortDelayOutsideDev() public {
        vm.expectRevert(abi.encodeWithSelector(DelayTooShort.selector, 60));
        new Registry("mainnet", false, address(this), 60);
    }

    function testRefusesASecondChangeWhileOneWaits() public {
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        vm.expectRevert(abi.encodeWithSelector(ChangePending.selector, "google"));
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        vm.expectRevert(abi.encodeWithSelector(ChangePending.selector, "google"));
        registry.removeVerifier("google");
    }

    function testAWithdrawnVersionNumberIsNotUsedAgain() public {
        vm.expectRevert(abi.encodeWithSelector(NoChangePending.selector, "google"));
        registry.withdrawVerifierChange("google");
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        registry.withdrawVerifierChange("google");
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        vm.warp(block.timestamp + 2 days);
        assert(registry.getVerifier("google").version == 3);
    }

    function testAChangeThatHoldsCanNotBeWithdrawn() public {
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        vm.warp(block.timestamp + 2 days);
        vm.expectRevert(abi.encodeWithSelector(NoChangePending.selector, "google"));
        registry.withdrawVerifierChange("google");
    }

    function testARemovedVerifierNeverComesBack() public {
        registry.removeVerifier("google");
        assert(!registry.getVerifier("google").removed);
        vm.warp(block.timestamp + 2 days);
        Verifiers.VerifierView memory v = registry.getVerifier("google");
        assert(v.removed && v.version == 2 && equal(v.terms.audiences[0].aud, "torus"));
        vm.expectRevert(abi.encodeWithSelector(VerifierRemoved.selector, "google"));
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        vm.expectRevert(abi.encodeWithSelector(VerifierNameTaken.selector, "google"));
        registry.addVerifier(provider(), termsOf("torus", TWO_ROUND));
    }

    function testOnlyTheOwnerAddsAndOnlyOwnersChange() public {
        vm.prank(address(0xbad));
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(0xbad)));
        registry.addVerifier(provider(), termsOf("x", BOUND));
        bytes memory refusal = abi.encodeWithSelector(NotVerifierOwner.selector, address(0xbad));
        vm.prank(address(0xbad));
        vm.expectRevert(refusal);
        registry.changeVerifier("google", termsOf("torus", TWO_ROUND));
        vm.prank(address(0xbad));
        vm.expectRevert(refusal);
        registry.removeVerifier("google");
        vm.expectRevert(abi.encodeWithSelector(UnknownVerifier.selector, "nobody"));
        registry.removeVerifier("nobody");
    }

    function testAVerifiersOwnerChangesItAndHandsItOn() public {
        Verifiers.Terms memory t = termsOf("torus", TWO_ROUND);
        t.owner = address(0xa);
        registry.changeVerifier("google", t);
        vm.prank(address(0xa));
        vm.expectRevert(abi.encodeWithSelector(NotVerifierOwner.selector, address(0xa)));
        registry.withdrawVerifierChange("google");
        vm.warp(block.timestamp + 2 days);
        vm.prank(address(0xa));
        registry.changeVerifier("google", t);
        assert(registry.getPending("google").number == 3);
    }

    function testFuzzWhatNeverChangesNeverChanges(string calldata jwks, uint64 iat, bool bound) public {
        Verifiers.Terms memory t = termsOf("more", bound ? BOUND : TWO_ROUND);
        (t.jwksUrl, t.iatLimitS) = (jwks, iat);
        try registry.changeVerifier("google", t) {} catch {}
        vm.warp(block.timestamp + 2 days);
        Verifiers.VerifierView memory v = registry.getVerifier("google");
        assert(keccak256(abi.encode(v.identity)) == keccak256(abi.encode(provider())));
        assert(v.version <= 2);
    }
}
